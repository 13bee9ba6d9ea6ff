internal import Synchronization

/// Whether one queue is served at the moment. Closed until it is known that the queue is not paused.
final class QueueGate: Sendable {
    private struct State {
        var isOpen = false
        /// Ends the fetch under way.
        var onClose: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation

    init() { (changes, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    var isOpen: Bool { state.withLock { $0.isOpen } }

    func set(open: Bool) {
        let close = state.withLock { state in
            let wasOpen = state.isOpen
            state.isOpen = open
            return wasOpen && !open ? state.onClose : nil
        }
        close?()
        if open { sink.yield() }
    }

    /// Waits until the queue is served, or the calling task is cancelled. For one caller at a time.
    func untilOpen() async {
        var iterator = changes.makeAsyncIterator()
        while !isOpen {
            if await iterator.next() == nil { return }
        }
    }

    /// Runs `operation`, which is cancelled as soon as the queue is paused. For one caller at a time.
    func whileOpen<Value: Sendable>(_ operation: @escaping @Sendable () async throws -> Value) async throws -> Value {
        // Owned here: waited for below, and cancelled with the caller.
        let work = Task(operation: operation)
        let isOpen = state.withLock { state in
            state.onClose = { work.cancel() }
            return state.isOpen
        }
        if !isOpen { work.cancel() }
        defer { state.withLock { $0.onClose = nil } }
        return try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            work.cancel()
        }
    }
}
