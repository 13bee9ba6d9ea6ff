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

    /// One object, since a request is handed on many times and is far larger than what a function should carry about.
    private var object: Object

    private final class Object: Sendable {
        let content: Content

        init(_ content: Content) { self.content = content }
    }

    /// What it is made of, each as the property of the same name says.
    private struct Content: Sendable, Hashable {
        var id: TaskID?
        var name: String
        var arguments: JSONObject
        var user: String?
        var queue: String
        var maximumAttempts: Int?
        var timeout: Duration?
        var softTimeout: Duration?
        var eta: Timestamp?
        var delay: Duration?
        var expires: Expiry?
        var retry: Retry?
        var links: TaskLinks
    }

    /// Given by whoever publishes the task; without it the worker derives one.
    public var id: TaskID? {
        get { object.content.id }
        set { change { $0.id = newValue } }
    }
    /// Which task: letters, digits, `_`, `-` and dots, at most 128.
    public var name: String {
        get { object.content.name }
        set { change { $0.name = newValue } }
    }
    public var arguments: JSONObject {
        get { object.content.arguments }
        set { change { $0.arguments = newValue } }
    }
    /// Whose task it is: who sees its progress on `user:<user>` and may look at it and cancel it.
    public var user: String? {
        get { object.content.user }
        set { change { $0.user = newValue } }
    }
    public var queue: String {
        get { object.content.queue }
        set { change { $0.queue = newValue } }
    }
    /// How many attempts there are at the most; nil is what the worker has for this task.
    public var maximumAttempts: Int? {
        get { object.content.maximumAttempts }
        set { change { $0.maximumAttempts = newValue } }
    }
    /// How long one attempt may take; nil is what the worker has for this task.
    public var timeout: Duration? {
        get { object.content.timeout }
        set { change { $0.timeout = newValue } }
    }
    /// After how long an attempt is told to come to its end by itself; nil is what the worker has for this task.
    public var softTimeout: Duration? {
        get { object.content.softTimeout }
        set { change { $0.softTimeout = newValue } }
    }
    /// Not to be run before this moment.
    public var eta: Timestamp? {
        get { object.content.eta }
        set { change { $0.eta = newValue } }
    }
    /// In place of ``eta``: not to be run before so long after its submission.
    public var delay: Duration? {
        get { object.content.delay }
        set { change { $0.delay = newValue } }
    }
    /// If no attempt has begun by then, none does.
    public var expires: Expiry? {
        get { object.content.expires }
        set { change { $0.expires = newValue } }
    }
    /// How long to wait between attempts; nil is what the worker has for this task.
    public var retry: Retry? {
        get { object.content.retry }
        set { change { $0.retry = newValue } }
    }
    /// How it hangs together with other tasks.
    public var links: TaskLinks {
        get { object.content.links }
        set { change { $0.links = newValue } }
    }

    private mutating func change(_ change: (inout Content) -> Void) {
        var content = object.content
        change(&content)
        object = Object(content)
    }

    public static func == (left: TaskRequest, right: TaskRequest) -> Bool {
        left.object === right.object || left.object.content == right.object.content
    }

    public func hash(into hasher: inout Hasher) { object.content.hash(into: &hasher) }

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
        object = Object(
            Content(
                id: id, name: name, arguments: arguments, user: user, queue: queue, maximumAttempts: maximumAttempts,
                timeout: timeout, softTimeout: softTimeout, eta: eta, delay: delay, expires: expires, retry: retry,
                links: links))
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
