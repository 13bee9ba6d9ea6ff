public import JSON

/// A task to run, as it is published to `apus.task.<queue>.<name>` and submitted by `tasks.submit`:
///
/// ```json
/// {"id":"…","name":"dataset.summarize","args":{"path":"a.csv"},"user":"42","max_attempts":3,"timeout":"30s","eta":"2026-01-01T00:00:00Z"}
/// ```
///
/// Everything but the name may be left out, and the name too where the subject says it. Members of other names are
/// ignored.
public struct TaskRequest: Sendable, Hashable {
    public static let defaultQueue = "default"
    public static let maximumAttemptsLimit = 1000
    public static let timeoutLimit = Duration.seconds(30 * 86_400)

    /// Given by whoever publishes the task; without it the worker derives one.
    public var id: TaskID?
    /// Which task: letters, digits, `_`, `-` and dots, at most 128.
    public var name: String
    public var arguments: JSONObject
    /// Whose task it is: who sees its progress on `user:<user>` and may look at it and cancel it.
    public var user: String?
    public var queue: String
    /// How many attempts there are at the most; nil is what the worker has for this task.
    public var maximumAttempts: Int?
    /// How long one attempt may take; nil is what the worker has for this task.
    public var timeout: Duration?
    /// After how long an attempt is told to come to its end by itself; nil is what the worker has for this task.
    public var softTimeout: Duration?
    /// Not to be run before this moment.
    public var eta: Timestamp?
    /// In place of ``eta``: not to be run before so long after its submission.
    public var delay: Duration?
    /// If no attempt has begun by then, none does.
    public var expires: Expiry?
    /// How long to wait between attempts; nil is what the worker has for this task.
    public var retry: Retry?
    /// How it hangs together with other tasks.
    public var links: TaskLinks

    /// When a task is no longer worth beginning.
    public enum Expiry: Sendable, Hashable {
        case at(Timestamp)
        /// So long after its submission.
        case after(Duration)
    }

    /// The longest waits before the second attempt, and of all; nil is what the worker has for this task.
    public struct Retry: Sendable, Hashable {
        public var base: Duration?
        public var maximum: Duration?

        public init(base: Duration? = nil, maximum: Duration? = nil) {
            self.base = base
            self.maximum = maximum
        }
    }

    public init(
        id: TaskID? = nil, name: String, arguments: JSONObject = [:], user: String? = nil,
        queue: String = TaskRequest.defaultQueue, maximumAttempts: Int? = nil, timeout: Duration? = nil,
        softTimeout: Duration? = nil, eta: Timestamp? = nil, delay: Duration? = nil, expires: Expiry? = nil,
        retry: Retry? = nil, links: TaskLinks = TaskLinks()
    ) {
        self.id = id
        self.name = name
        self.arguments = arguments
        self.user = user
        self.queue = queue
        self.maximumAttempts = maximumAttempts
        self.timeout = timeout
        self.softTimeout = softTimeout
        self.eta = eta
        self.delay = delay
        self.expires = expires
        self.retry = retry
        self.links = links
    }

    /// When it is due, if it was submitted at `submittedAt`; nil is at once.
    public func due(submittedAt: Timestamp) -> Timestamp? { eta ?? delay.map(submittedAt.advanced(by:)) }

    /// From when on it is not begun any more, if it was submitted at `submittedAt`; nil is never.
    public func expiry(submittedAt: Timestamp) -> Timestamp? {
        switch expires {
        case nil: nil
        case .at(let moment): moment
        case .after(let duration): submittedAt.advanced(by: duration)
        }
    }

    /// Replaces what counts from the submission by moments, so that it means the same whenever it is read.
    public mutating func fixTimes(submittedAt: Timestamp) {
        if let due = due(submittedAt: submittedAt) { (eta, delay) = (due, nil) }
        if let expiry = expiry(submittedAt: submittedAt) { expires = .at(expiry) }
    }

    /// Why JSON is not a task: which member, and what it must be.
    public struct Invalid: Error, Hashable, CustomStringConvertible {
        /// The member's name; empty when the whole is meant.
        public let field: String
        public let problem: String

        public var description: String { field.isEmpty ? problem : "\(field) \(problem)" }
    }

    /// Whether `text` may be a task's name.
    public static func isName(_ text: String) -> Bool { TaskID(text) != nil }

    /// Whether `text` may be a queue's name: one token of 1 to 64 letters, digits, `_` or `-`.
    public static func isQueue(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && SubjectToken.encode(text) == text
            && !text.utf8.contains(UInt8(ascii: "."))
    }

    /// Whether `text` may be a user's id here, that is `user:<text>` is a channel.
    public static func isUser(_ text: String) -> Bool { (try? ChannelName(namespace: "user", name: text)) != nil }
}

extension Subjects {
    /// The queue and the task's name of an `apus.task.<queue>.<name>` subject; nil for any other.
    public func task(ofSubject subject: String) -> (queue: String, name: String)? {
        let beginning = "\(prefix).task."
        guard subject.hasPrefix(beginning) else { return nil }
        let rest = subject.utf8.dropFirst(beginning.utf8.count)
        guard let dot = rest.firstIndex(of: UInt8(ascii: ".")),
            let queue = SubjectToken.decode(Substring(rest[..<dot])),
            let name = SubjectToken.decode(Substring(rest[rest.index(after: dot)...]))
        else { return nil }
        return (queue, name)
    }
}
