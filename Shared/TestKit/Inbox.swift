public import EventBus
internal import Synchronization

/// Collects what a callback is given, for a test that waits for it.
public final class Inbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiting: [(count: Int, id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    public var elements: [Element] { state.withLock { $0.elements } }

    public func append(_ element: Element) {
        let reached = state.withLock { state in
            state.elements.append(element)
            let reached = state.waiting.filter { $0.count <= state.elements.count }.map(\.continuation)
            state.waiting.removeAll { $0.count <= state.elements.count }
            return reached
        }
        for continuation in reached { continuation.resume(returning: true) }
    }

    /// Waits for at least `count` elements and returns all that are there.
    /// - Throws: ``NotEnough`` if they have not come after `timeout`, or when the task is cancelled.
    @discardableResult
    public func wait(for count: Int, timeout: Duration = .seconds(20)) async throws -> [Element] {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let deadline = Task {
            try await Task.sleep(for: timeout)
            giveUp(id)
        }
        defer { deadline.cancel() }
        let isReached = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReached: Bool? = state.withLock { state in
                    if state.elements.count >= count { return true }
                    if Task.isCancelled { return false }
                    state.waiting.append((count, id, continuation))
                    return nil
                }
                if let isReached { continuation.resume(returning: isReached) }
            }
        } onCancel: {
            giveUp(id)
        }
        guard isReached else { throw NotEnough(expected: count, found: elements.count) }
        return elements
    }

    private func giveUp(_ id: UInt64) {
        let continuation = state.withLock { state in
            let found = state.waiting.first { $0.id == id }?.continuation
            state.waiting.removeAll { $0.id == id }
            return found
        }
        continuation?.resume(returning: false)
    }

    public struct NotEnough: Error, CustomStringConvertible {
        public let expected: Int
        public let found: Int

        public var description: String { "waited for \(expected) elements, \(found) came" }
    }
}

extension Inbox where Element == BusMessage {
    /// Subscribes and collects; the subscription lasts as long as the returned value is not cancelled.
    @discardableResult
    public func subscribe(
        to subject: String, on feed: any MessageFeed, queue: String? = nil
    ) throws(BusError) -> any BusSubscription {
        try feed.subscribe(subject, queue: queue) { self.append($0) }
    }
}
