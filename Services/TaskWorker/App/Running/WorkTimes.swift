internal import Synchronization

/// How long the work of each task takes, by the task's name, the last ones counting most. For names that this worker knows, so that
/// what comes from outside adds none.
final class WorkTimes: Sendable {
    private let means = Mutex<[String: Duration]>([:])

    func note(_ name: String, _ time: Duration) {
        means.withLock { means in means[name] = means[name].map { ($0 * 7 + time) / 8 } ?? time }
    }

    /// Whether it takes less than so long; false of one that nobody has worked on yet.
    func isBelow(_ limit: Duration, _ name: String) -> Bool { means.withLock { $0[name].map { $0 < limit } ?? false } }
}
