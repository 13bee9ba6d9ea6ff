public import Events

/// Follows one task through reports that come from several sources, twice, or late, and says what is news.
public struct TaskFollower: Sendable {
    public private(set) var latest: TaskStatus?

    public init() {}

    public enum Action: Sendable, Equatable {
        /// An older report, or one seen before.
        case ignore
        case show(TaskStatus)
        /// Nothing follows this one.
        case finish(TaskStatus)
    }

    /// Takes a report that was received.
    public mutating func received(_ status: TaskStatus) -> Action {
        if let latest {
            guard status.id == latest.id, status.supersedes(latest) else { return .ignore }
        }
        latest = status
        return status.state.isFinal ? .finish(status) : .show(status)
    }
}

/// Thins the reports of a task for output that cannot redraw a line: a file, a pipe, a log.
public struct TaskProgressLines: Sendable {
    private var shown: TaskStatus?

    public init() {}

    /// A line per change of state or attempt, and per ten percent of progress; nil for what is left out.
    public mutating func line(for status: TaskStatus) -> String? {
        if let shown, shown.state == status.state, shown.attempt == status.attempt,
            !status.state.isFinal, step(status) <= step(shown)
        {
            return nil
        }
        shown = status
        var line = status.state.rawValue
        if status.state.isRunning { line += " \(Int(min(100, max(0, status.progress)))) %" }
        if status.attempt > 1, !status.state.isFinal { line += " (attempt \(status.attempt))" }
        if let message = status.message, !message.isEmpty { line += ": \(TerminalText.safe(message))" }
        return line
    }

    private func step(_ status: TaskStatus) -> Int { Int(min(100, max(0, status.progress)) / 10) }
}

extension TaskState {
    /// The colour in which people expect to see this state.
    public var style: TextStyle {
        switch self {
        case .queued: .dim
        case .started, .processing: .cyan
        case .retrying: .yellow
        case .completed: .green
        case .failed: .red
        case .cancelled: .magenta
        }
    }
}
