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
    /// Not to be run before this moment.
    public var eta: Timestamp?

    public init(
        id: TaskID? = nil, name: String, arguments: JSONObject = [:], user: String? = nil,
        queue: String = TaskRequest.defaultQueue, maximumAttempts: Int? = nil, timeout: Duration? = nil,
        eta: Timestamp? = nil
    ) {
        self.id = id
        self.name = name
        self.arguments = arguments
        self.user = user
        self.queue = queue
        self.maximumAttempts = maximumAttempts
        self.timeout = timeout
        self.eta = eta
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

// MARK: - JSON

extension TaskRequest {
    /// Reads a request.
    /// - Parameter address: the queue and name that the message's subject says, which the request must not contradict.
    public init(
        json: JSONValue, address: (queue: String, name: String)? = nil
    ) throws(Invalid) {
        guard let members = json.objectValue else {
            throw Invalid(field: "", problem: "a task is an object, not \(json.kindDescription)")
        }
        let fields = Fields(members: members)
        guard let name = try fields.text("name") ?? address?.name else {
            throw Invalid(field: "name", problem: "is missing: it says which task to run")
        }
        let queue = try fields.text("queue") ?? address?.queue ?? TaskRequest.defaultQueue
        guard TaskRequest.isName(name) else {
            throw Invalid(field: "name", problem: "must be 1 to 128 letters, digits, _, - and single dots")
        }
        guard TaskRequest.isQueue(queue) else {
            throw Invalid(field: "queue", problem: "must be 1 to 64 letters, digits, _ and -")
        }
        if let address, address != (queue, name) {
            throw Invalid(
                field: address.name == name ? "queue" : "name",
                problem: "is not the one that the message's subject says")
        }
        self.init(name: name, queue: queue)
        id = try fields.id()
        arguments = try fields.arguments()
        user = try fields.user()
        maximumAttempts = try fields.maximumAttempts()
        timeout = try fields.timeout()
        eta = try fields.eta()
    }

    /// The request as JSON; members that are not set are left out.
    public var json: JSONValue {
        var members = JSONObject()
        members["id"] = id.map { .string($0.description) }
        members["name"] = .string(name)
        members["args"] = .object(arguments)
        members["user"] = user.map { .string($0) }
        members["queue"] = .string(queue)
        members["max_attempts"] = maximumAttempts.map { .integer(Int64($0)) }
        members["timeout"] = timeout.map { .string(DurationText.format($0)) }
        members["eta"] = eta.map { .string($0.description) }
        return .object(members)
    }
}

/// The members of a request, read one by one. A member that is null is one that is not there.
private struct Fields {
    let members: JSONObject

    private func member(_ name: String) -> JSONValue? {
        guard let value = members[name], !value.isNull else { return Optional.none }
        return value
    }

    func text(_ name: String) throws(TaskRequest.Invalid) -> String? {
        guard let value = member(name) else { return nil }
        guard let text = value.stringValue else {
            throw TaskRequest.Invalid(field: name, problem: "must be a string, not \(value.kindDescription)")
        }
        return text
    }

    func id() throws(TaskRequest.Invalid) -> TaskID? {
        guard let text = try text("id") else { return nil }
        guard let id = TaskID(text) else {
            throw TaskRequest.Invalid(field: "id", problem: "must be 1 to 128 letters, digits, _, - and single dots")
        }
        return id
    }

    func arguments() throws(TaskRequest.Invalid) -> JSONObject {
        guard let value = member("args") else { return [:] }
        guard let arguments = value.objectValue else {
            throw TaskRequest.Invalid(field: "args", problem: "must be an object, not \(value.kindDescription)")
        }
        return arguments
    }

    /// A user is text; a whole number, which many systems use for users, is taken as its digits.
    func user() throws(TaskRequest.Invalid) -> String? {
        let text: String?
        if case .integer(let number)? = member("user") { text = String(number) } else { text = try self.text("user") }
        guard let text else { return nil }
        guard TaskRequest.isUser(text) else {
            throw TaskRequest.Invalid(
                field: "user", problem: "must be a user's id: 1 to 200 bytes without an empty part between dots")
        }
        return text
    }

    func maximumAttempts() throws(TaskRequest.Invalid) -> Int? {
        guard let value = member("max_attempts") else { return nil }
        guard let number = value.integerValue, (1...Int64(TaskRequest.maximumAttemptsLimit)).contains(number) else {
            throw TaskRequest.Invalid(
                field: "max_attempts", problem: "must be a whole number from 1 to \(TaskRequest.maximumAttemptsLimit)")
        }
        return Int(number)
    }

    func timeout() throws(TaskRequest.Invalid) -> Duration? {
        guard let value = member("timeout") else { return nil }
        let duration: Duration?
        switch value {
        case .string(let text): duration = DurationText.parse(text)
        case .integer(let seconds): duration = DurationText.parse(String(seconds))
        case .double(let seconds) where seconds.isFinite && seconds < 1e9:
            duration = .milliseconds(Int64((seconds * 1000).rounded()))
        default: duration = nil
        }
        guard let duration, duration > .zero, duration <= TaskRequest.timeoutLimit else {
            throw TaskRequest.Invalid(
                field: "timeout", problem: "must be a time such as \"30s\", \"5m\" or 30 (seconds), at most 30d")
        }
        return duration
    }

    func eta() throws(TaskRequest.Invalid) -> Timestamp? {
        guard let value = member("eta") else { return nil }
        let moment: Timestamp?
        switch value {
        case .string(let text): moment = Timestamp(rfc3339: text)
        case .integer(let seconds) where (0...9_000_000_000).contains(seconds): moment = Timestamp(seconds: seconds)
        case .double(let seconds) where (0...9e9).contains(seconds):
            moment = Timestamp(nanoseconds: Int64(seconds * 1000) * 1_000_000)
        default: moment = nil
        }
        guard let moment else {
            throw TaskRequest.Invalid(
                field: "eta", problem: "must be a moment such as \"2026-01-01T00:00:00Z\" or seconds since 1970")
        }
        return moment
    }
}

extension Subjects {
    /// The queue and the task's name of an `apus.task.<queue>.<name>` subject; nil for any other.
    public func task(ofSubject subject: String) -> (queue: String, name: String)? {
        let parts = subject.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == prefix, parts[1] == "task",
            let queue = SubjectToken.decode(parts[2]), let name = SubjectToken.decode(parts[3])
        else { return nil }
        return (queue, name)
    }
}
