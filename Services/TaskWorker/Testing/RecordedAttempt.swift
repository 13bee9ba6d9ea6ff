internal import Events
public import Logging
internal import Synchronization
public import Tasks

/// An attempt without a worker, for testing a task as the function that it is.
///
/// ```swift
/// let attempt = RecordedAttempt()
/// let sizes = try await Resize().run(.init(path: "a.png"), context: attempt.context)
/// #expect(attempt.reports.last?.progress == 50)
/// ```
public final class RecordedAttempt: Sendable {
    public struct Report: Sendable, Hashable {
        /// As the task gave it.
        public let progress: Double
        public let message: String?

        public init(progress: Double, message: String? = nil) {
            self.progress = progress
            self.message = message
        }
    }

    private let control: Control
    /// What to run the task with.
    public let context: TaskContext

    /// - Parameters:
    ///   - attempt: which attempt it is, from 1.
    ///   - trace: `traceparent` and `tracestate`, for tasks that look at them.
    public init(
        name: String = "test", attempt: Int = 1, user: String? = nil, trace: [String: String] = [:],
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) {
        control = Control(number: attempt)
        context = TaskContext(control, name: name, user: user, trace: trace, logger: logger)
    }

    /// Everything that the task has reported, in order.
    public var reports: [Report] { control.state.withLock { $0.reports } }

    /// From now on the task finds itself stopped, as after a cancel. Cancel the Swift task that runs it too, as a worker
    /// does, if it waits for something.
    public func stop() { control.state.withLock { $0.isStopped = true } }

    private final class Control: AttemptControl {
        let id = TaskID("test")!  // a name that is one
        let number: Int
        let state = Mutex<(isStopped: Bool, reports: [Report])>((false, []))

        init(number: Int) { self.number = number }

        var isStopped: Bool { state.withLock { $0.isStopped } }

        func report(progress: Double, message: String?) throws(TaskStopped) {
            let isStopped = state.withLock { state in
                if !state.isStopped { state.reports.append(Report(progress: progress, message: message)) }
                return state.isStopped
            }
            if isStopped { throw TaskStopped() }
        }
    }
}
