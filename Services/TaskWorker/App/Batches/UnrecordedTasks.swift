internal import Events
internal import Synchronization

/// The tasks that are worked on here and of which no record says so yet: another message of the same task has to wait for the
/// record, or the work would be done twice.
final class UnrecordedTasks: Sendable {
    private let waiters = Mutex<[TaskID: [CheckedContinuation<Void, Never>]]>([:])

    /// - Returns: false if the task is one of them already.
    func begin(_ id: TaskID) -> Bool {
        waiters.withLock { waiters in
            guard waiters[id] == nil else { return false }
            waiters[id] = []
            return true
        }
    }

    /// The record says now what becomes of the task, or nobody here works on it any more.
    func end(_ id: TaskID) {
        let waiting = waiters.withLock { $0.removeValue(forKey: id) }
        for one in waiting ?? [] { one.resume() }
    }

    func contains(_ id: TaskID) -> Bool { waiters.withLock { $0[id] != nil } }

    /// Returns as soon as the task is none of them.
    func untilEnded(_ id: TaskID) async {
        guard contains(id) else { return }
        await withCheckedContinuation { continuation in
            let isOver = waiters.withLock { waiters in
                guard waiters[id] != nil else { return true }
                waiters[id]?.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
