internal import Events
internal import Synchronization

/// The attempts that this process runs at the moment.
final class RunningAttempts: Sendable {
    private struct State {
        var attempts: [TaskID: RunningAttempt] = [:]
        var countByQueue: [String: Int] = [:]
        var isStopping = false
    }

    private let state = Mutex(State())

    /// As ``add(_:)`` for several.
    func add(_ attempts: [RunningAttempt]) { for attempt in attempts { add(attempt) } }

    /// Notes an attempt. One of the same task that still runs here is not the task's any more and is stopped.
    func add(_ attempt: RunningAttempt) {
        let (older, isStopping) = state.withLock { state in
            state.countByQueue[attempt.queue, default: 0] += 1
            let older = state.attempts.updateValue(attempt, forKey: attempt.id)
            return (older, state.isStopping)
        }
        older?.stop(.superseded)
        if isStopping { attempt.stop(.shutdown) }
    }

    func remove(_ attempt: RunningAttempt) {
        state.withLock { state in
            state.countByQueue[attempt.queue, default: 0] -= 1
            if state.attempts[attempt.id] === attempt { state.attempts[attempt.id] = nil }
        }
    }

    /// Attempts whose end has been recorded: nothing wakes or stops them any more.
    func remove(_ attempts: [RunningAttempt]) {
        for attempt in attempts {
            remove(attempt)
            attempt.close()
        }
    }

    /// How many attempts of each queue run here.
    var countByQueue: [String: Int] { state.withLock { $0.countByQueue } }

    subscript(id: TaskID) -> RunningAttempt? { state.withLock { $0.attempts[id] } }

    /// Stops all attempts, and those that begin from now on.
    func stopAll() {
        let attempts = state.withLock { state in
            state.isStopping = true
            return Array(state.attempts.values)
        }
        for attempt in attempts { attempt.stop(.shutdown) }
    }
}
