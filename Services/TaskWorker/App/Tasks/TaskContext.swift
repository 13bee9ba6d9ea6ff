package import Events
package import Logging

/// What a running task has of its worker.
package struct TaskContext: Sendable {
    package let id: TaskID
    package let name: String
    /// From 1.
    package let attempt: Int
    package let user: String?
    package let logger: Logger
    private let running: RunningAttempt

    init(_ running: RunningAttempt, name: String, user: String?, logger: Logger) {
        id = running.id
        self.name = name
        attempt = running.number
        self.user = user
        self.logger = logger
        self.running = running
    }

    /// Tells how far the task has come, in percent. Call it as often as you like: what is more than anybody can look at is
    /// left out, the last value never. Progress does not fall; less than before counts as before.
    /// - Throws: ``TaskStopped`` when the attempt is to end: the task was cancelled, took too long, or is not this
    ///   worker's any more; let it pass. ``SoftTimeLimitExceeded`` once, when the soft time limit has passed: catch it to
    ///   come to an end within the hard one, or let it pass, which fails the attempt.
    package func progress(_ percent: Double, message: String? = nil) async throws {
        try report(percent, message: message)
        if let limit = running.takeSoftLimit() { throw SoftTimeLimitExceeded(limit: limit) }
        // A task that reports in a tight loop must let the others go on.
        await Task.yield()
    }

    /// As ``progress(_:message:)``, for code on a thread of its own. Does not block.
    package func report(_ percent: Double, message: String? = nil) throws(TaskStopped) {
        try running.report(progress: percent, message: message)
    }

    /// - Throws: ``TaskStopped`` when the attempt is to end.
    package func checkStopped() throws(TaskStopped) {
        if running.stopReason != nil { throw TaskStopped() }
    }

    /// Whether the soft time limit has passed: time to come to an end before the hard one does it.
    package var isOverSoftLimit: Bool { running.softLimit != nil }

    /// The soft time limit, once it has passed.
    var softLimit: Duration? { running.softLimit }

    /// Whether the attempt is to end.
    package var isStopped: Bool { running.stopReason != nil }
}

/// The attempt is to end; thrown where a task reports its progress.
package struct TaskStopped: Error, Sendable, Hashable, CustomStringConvertible {
    package init() {}

    package var description: String { "the attempt was stopped" }
}

/// The soft time limit has passed; thrown once where a task reports its progress.
package struct SoftTimeLimitExceeded: Error, Sendable, Hashable, CustomStringConvertible {
    package let limit: Duration

    package init(limit: Duration) { self.limit = limit }

    package var description: String {
        "the attempt took longer than its soft time limit of \(DurationText.format(limit))"
    }
}
