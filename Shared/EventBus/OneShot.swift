internal import Synchronization

/// A value that comes once, for one who waits: what a callback, a timer and a cancellation race for. The first wins.
package final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        /// Neither the value nor the one who waits is there.
        case idle
        case waiting(CheckedContinuation<Value, Never>)
        /// The value is there, for whoever asks.
        case fulfilled(Value)
    }

    private let state = Mutex<State>(.idle)

    package init() {}

    /// Gives the value; later ones are ignored. From any thread, never blocks.
    /// - Returns: whether this was the first.
    @discardableResult
    package func fulfil(_ value: Value) -> Bool {
        let (isFirst, waiting): (Bool, CheckedContinuation<Value, Never>?) = state.withLock { state in
            switch state {
            case .idle:
                state = .fulfilled(value)
                return (true, nil)
            case .waiting(let continuation):
                state = .fulfilled(value)
                return (true, continuation)
            case .fulfilled: return (false, nil)
            }
        }
        waiting?.resume(returning: value)
        return isFirst
    }

    /// Waits for the value. For one caller at a time.
    package func value() async -> Value {
        await withCheckedContinuation { continuation in
            let present: Value? = state.withLock { state in
                if case .fulfilled(let value) = state { return value }
                state = .waiting(continuation)
                return nil
            }
            if let present { continuation.resume(returning: present) }
        }
    }
}
