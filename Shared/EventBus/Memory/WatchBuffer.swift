internal import Synchronization

/// The events of one watch between the bus, which never waits, and its reader.
///
/// What was there when the watch began is kept whole; of what comes afterwards at most `limit` events wait. Beyond that
/// the reader gets what waits, then ``KeyValueEvent/lost(_:)``, then the end.
final class WatchBuffer: Sendable {
    private let limit: Int
    private let onEnd: Mutex<(@Sendable () -> Void)?>
    private let state = Mutex(State())

    private struct State {
        var events: [KeyValueEvent] = []
        /// How many of `events` belong to the beginning.
        var snapshot = 0
        var lost: UInt64 = 0
        var isFinished = false
        var reader: CheckedContinuation<KeyValueEvent?, Never>?

        /// What the reader gets next; nil is: it must wait.
        mutating func next() -> KeyValueEvent?? {
            if !events.isEmpty {
                snapshot = max(0, snapshot - 1)
                return events.removeFirst()
            }
            if lost > 0 {
                defer {
                    lost = 0
                    isFinished = true
                }
                return .some(.lost(lost))
            }
            return isFinished ? .some(nil) : nil
        }
    }

    init(limit: Int) {
        self.limit = max(1, limit)
        onEnd = Mutex(nil)
    }

    deinit { end() }

    /// What ends the watch on the bus; run once, when the reader is gone or the buffer finished.
    func setOnEnd(_ action: @escaping @Sendable () -> Void) { onEnd.withLock { $0 = action } }

    func begin(with snapshot: [KeyValueEvent]) {
        push { state in
            state.events += snapshot
            state.snapshot += snapshot.count
        }
    }

    func append(_ event: KeyValueEvent) {
        push { [limit] state in
            guard state.lost == 0, !state.isFinished, state.events.count - state.snapshot < limit else {
                state.lost += state.isFinished ? 0 : 1
                return
            }
            state.events.append(event)
        }
    }

    /// The reader gets what waits, then the end.
    func finish() {
        push { $0.isFinished = true }
        end()
    }

    private func push(_ change: (inout State) -> Void) {
        let resumed: (CheckedContinuation<KeyValueEvent?, Never>, KeyValueEvent?)? = state.withLock { state in
            change(&state)
            guard let reader = state.reader, let next = state.next() else { return nil }
            state.reader = nil
            return (reader, next)
        }
        if let (reader, next) = resumed { reader.resume(returning: next) }
    }

    private func end() {
        let action = onEnd.withLock { action in
            defer { action = nil }
            return action
        }
        action?()
    }

    /// For one reader. Ends when its task is cancelled.
    func next() async -> KeyValueEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let present: KeyValueEvent?? = state.withLock { state in
                    if let next = state.next() { return next }
                    state.reader = continuation
                    return nil
                }
                if let present { continuation.resume(returning: present) }
            }
        } onCancel: {
            finish()
        }
    }
}
