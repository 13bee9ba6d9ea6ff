internal import Synchronization

/// Hands elements from any thread to one reader, and keeps a limited number of them in between. What comes beyond is
/// dropped and counted; the reader is told.
final class BoundedBuffer<Element: Sendable>: Sendable {
    enum Item: Sendable {
        case element(Element)
        /// So many were dropped.
        case dropped(UInt64)
    }

    /// What happens to elements that come after some were dropped.
    enum Policy: Sendable {
        /// They are kept as soon as there is room.
        case resume
        /// They are dropped too, until the reader has been told.
        case stop
    }

    private struct State {
        var elements: [Element] = []
        /// The reader's place in `elements`; what is before it was taken.
        var head = 0
        var dropped: UInt64 = 0
        var isFinished = false
        var waiting: CheckedContinuation<Void, Never>?
        /// The writer, while it waits for the reader.
        var waitingForRoom: CheckedContinuation<Void, Never>?

        mutating func takeDropped() -> UInt64 {
            defer { dropped = 0 }
            return dropped
        }
    }

    private let limit: Int
    private let policy: Policy
    private let state = Mutex(State())

    init(limit: Int, policy: Policy) {
        self.limit = max(1, limit)
        self.policy = policy
    }

    /// - Returns: whether it was kept.
    @discardableResult
    func push(_ element: Element) -> Bool {
        let (isKept, waiting) = state.withLock { state in
            guard !state.isFinished else { return (true, CheckedContinuation<Void, Never>?.none) }
            guard state.elements.count - state.head < limit, policy == .resume || state.dropped == 0 else {
                state.dropped += 1
                return (false, nil)
            }
            state.elements.append(element)
            return (true, state.waiting.take())
        }
        waiting?.resume()
        return isKept
    }

    /// Waits until there is room for one more, or nobody wants any; or until the calling task is cancelled. For a writer
    /// that can wait; it must be the only one.
    func room() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.elements.count - state.head >= limit, !state.isFinished, !Task.isCancelled else {
                        return false
                    }
                    state.waitingForRoom = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waitingForRoom.take() }?.resume()
        }
    }

    /// Nothing comes any more; what is here can still be read.
    func finish() {
        let (waiting, waitingForRoom) = state.withLock { state in
            state.isFinished = true
            return (state.waiting.take(), state.waitingForRoom.take())
        }
        waiting?.resume()
        waitingForRoom?.resume()
    }

    /// The next one; nil at the end, and when the calling task is cancelled. For one task at a time.
    func next() async -> Item? {
        while true {
            let (item, isOver, writer) = state.withLock { state -> (Item?, Bool, CheckedContinuation<Void, Never>?) in
                if policy == .resume, state.dropped > 0 { return (.dropped(state.takeDropped()), false, nil) }
                if state.head < state.elements.count {
                    let element = state.elements[state.head]
                    state.head += 1
                    if state.head == state.elements.count || state.head >= 1024 {
                        state.elements.removeFirst(state.head)
                        state.head = 0
                    }
                    return (.element(element), false, state.waitingForRoom.take())
                }
                if state.dropped > 0 { return (.dropped(state.takeDropped()), false, nil) }
                return (nil, state.isFinished, nil)
            }
            writer?.resume()
            if let item { return item }
            if isOver || Task.isCancelled { return nil }
            await somethingHappens()
        }
    }

    private func somethingHappens() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.head == state.elements.count, state.dropped == 0, !state.isFinished, !Task.isCancelled
                    else { return false }
                    state.waiting = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.take() }?.resume()
        }
    }
}
