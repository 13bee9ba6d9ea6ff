internal import Events

/// An attempt's failure, with a message for the user.
public struct TaskFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public let message: String
    /// Whether another attempt may go better.
    public let isRetryable: Bool

    public init(_ message: String, isRetryable: Bool = true) {
        self.message = message
        self.isRetryable = isRetryable
    }

    public var description: String { message }
}

/// The soft time limit has passed; thrown once where a task reports its progress. Catch it to come to an end within the
/// hard limit; one that passes fails the attempt.
public struct SoftTimeLimitExceeded: Error, Sendable, Hashable, CustomStringConvertible {
    public let limit: Duration

    public init(limit: Duration) { self.limit = limit }

    public var description: String {
        "the attempt took longer than its soft time limit of \(DurationText.format(limit))"
    }
}

/// The attempt is to end; thrown where a task reports its progress.
public struct TaskStopped: Error, Sendable, Hashable, CustomStringConvertible {
    public init() {}

    public var description: String { "the attempt was stopped" }
}
