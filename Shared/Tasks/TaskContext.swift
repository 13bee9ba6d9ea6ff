public import Events
public import Logging

/// What a running task has of its worker.
public struct TaskContext: Sendable {
    public let id: TaskID
    public let name: String
    /// From 1.
    public let attempt: Int
    /// Whose task it is; nil if nobody's.
    public let user: String?
    /// The W3C trace headers, `traceparent` and `tracestate`, with which the task was submitted; empty without.
    public let trace: [String: String]
    private var loggerSource: LoggerSource
    private let running: any AttemptControl

    /// Most tasks say nothing, and a logger with its metadata takes longer than a task that does nothing.
    private enum LoggerSource {
        case given(Logger)
        case make(@Sendable () -> Logger)
    }

    /// Names the task in its metadata. Middleware may put more there.
    public var logger: Logger {
        get {
            switch loggerSource {
            case .given(let logger): logger
            case .make(let make): make()
            }
        }
        set { loggerSource = .given(newValue) }
    }

    /// - Parameter running: the attempt that the task reports to.
    package init(
        _ running: any AttemptControl, name: String, user: String?, trace: [String: String] = [:],
        logger: @autoclosure @escaping @Sendable () -> Logger
    ) {
        id = running.id
        self.name = name
        attempt = running.number
        self.user = user
        self.trace = trace
        loggerSource = .make(logger)
        self.running = running
    }

    /// Tells how far the task has come, in percent. Call it as often as you like: what is more than anybody can look at is
    /// left out, the last value never. Progress does not fall; less than before counts as before.
    /// - Throws: ``TaskStopped`` when the attempt is to end: the task was cancelled, took too long, or is not this
    ///   worker's any more; let it pass. ``SoftTimeLimitExceeded`` once, when the soft time limit has passed: catch it to
    ///   come to an end within the hard one, or let it pass, which fails the attempt.
    public func progress(_ percent: Double, message: String? = nil) async throws {
        try report(percent, message: message)
        if let limit = running.takeSoftLimit() { throw SoftTimeLimitExceeded(limit: limit) }
        // A task that reports in a tight loop must let the others go on.
        await Task.yield()
    }

    /// As ``progress(_:message:)``, for code on a thread of its own. Does not block.
    public func report(_ percent: Double, message: String? = nil) throws(TaskStopped) {
        try running.report(progress: percent, message: message)
    }

    /// - Throws: ``TaskStopped`` when the attempt is to end.
    public func checkStopped() throws(TaskStopped) {
        if running.isStopped { throw TaskStopped() }
    }

    /// Whether the attempt is to end.
    public var isStopped: Bool { running.isStopped }

    /// Whether the soft time limit has passed: time to come to an end before the hard one does it.
    public var isOverSoftLimit: Bool { running.softLimit != nil }

    /// The soft time limit, once it has passed.
    package var softLimit: Duration? { running.softLimit }
}

/// The attempt behind a ``TaskContext``: the worker's, or one that a test makes.
package protocol AttemptControl: Sendable {
    var id: TaskID { get }
    /// From 1.
    var number: Int { get }
    var isStopped: Bool { get }
    /// The soft time limit, once it has passed.
    var softLimit: Duration? { get }

    /// The soft time limit, once, when it has passed.
    func takeSoftLimit() -> Duration?
    func report(progress: Double, message: String?) throws(TaskStopped)
}

extension AttemptControl {
    package var softLimit: Duration? { nil }

    package func takeSoftLimit() -> Duration? { nil }
}
