import Synchronization

/// How a program ended.
enum ProgramExit: Equatable, Sendable, CustomStringConvertible {
    case status(Int32)
    case signal(Int32)

    var description: String {
        switch self {
        case .status(let status): "exit status \(status)"
        case .signal(let number): "signal \(number)"
        }
    }
}

/// What a program has said and whether it still runs; others wait here for either.
final class ProgramRecord: Sendable {
    struct State: Sendable {
        var lines: [String] = []
        /// Whether all of the output is in `lines`.
        var isComplete = false
        var exit: ProgramExit?
    }

    private struct Waiting: Sendable {
        var state = State()
        var waiters: [Int: @Sendable (State) -> Bool] = [:]
        var nextIdentifier = 0
    }

    private let waiting = Mutex(Waiting())

    var state: State { waiting.withLock { $0.state } }

    func change(_ change: (inout State) -> Void) {
        waiting.withLock { waiting in
            change(&waiting.state)
            // A waiter that says true has got what it waited for.
            waiting.waiters = waiting.waiters.filter { !$0.value(waiting.state) }
        }
    }

    /// Waits until `answer` is something else than nil.
    /// - Throws: `CancellationError` when the test is cancelled, as its time limit does.
    func wait<Answer: Sendable>(for answer: @escaping @Sendable (State) -> Answer?) async throws -> Answer {
        let identifier = waiting.withLock { waiting in
            waiting.nextIdentifier += 1
            return waiting.nextIdentifier
        }
        let outcome = Mutex<CheckedContinuation<Answer, any Error>?>(nil)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                outcome.withLock { $0 = continuation }
                let take: @Sendable () -> CheckedContinuation<Answer, any Error>? = {
                    outcome.withLock { held in
                        defer { held = nil }
                        return held
                    }
                }
                waiting.withLock { waiting in
                    if Task.isCancelled {
                        take()?.resume(throwing: CancellationError())
                    } else if let found = answer(waiting.state) {
                        take()?.resume(returning: found)
                    } else {
                        waiting.waiters[identifier] = { state in
                            guard let found = answer(state) else { return false }
                            take()?.resume(returning: found)
                            return true
                        }
                    }
                }
            }
        } onCancel: {
            waiting.withLock { _ = $0.waiters.removeValue(forKey: identifier) }
            let held = outcome.withLock { held in
                defer { held = nil }
                return held
            }
            held?.resume(throwing: CancellationError())
        }
    }
}
