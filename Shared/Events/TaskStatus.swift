public import JSON

/// What is known of a task at one moment: what `tasks.get` answers, and what each change publishes on `task:<id>` and
/// `user:<user>` as event ``event``.
///
/// ``version`` only grows over a task's life, so that whoever follows a task can tell what is new; nothing follows a
/// final state.
public struct TaskStatus: Sendable, Hashable {
    /// The name of the event on the channels, and the object's `type`.
    public static let event = "task_status"

    public var id: TaskID
    public var name: String
    public var state: TaskState
    /// 0 to 100; never falls within an attempt.
    public var progress: Double
    /// The number of the attempt, from 1; 0 before the first.
    public var attempt: Int
    /// The number of the report within the attempt.
    public var sequence: Int
    public var message: String?
    /// What the task gave, once it is completed.
    public var result: JSONValue
    public var user: String?
    public var queue: String?
    public var maximumAttempts: Int?
    public var submittedAt: Timestamp?
    public var updatedAt: Timestamp?

    public init(
        id: TaskID, name: String, state: TaskState, progress: Double = 0, attempt: Int = 0, sequence: Int = 0,
        message: String? = nil, result: JSONValue = .null, user: String? = nil, queue: String? = nil,
        maximumAttempts: Int? = nil, submittedAt: Timestamp? = nil, updatedAt: Timestamp? = nil
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.progress = progress
        self.attempt = attempt
        self.sequence = sequence
        self.message = message
        self.result = result
        self.user = user
        self.queue = queue
        self.maximumAttempts = maximumAttempts
        self.submittedAt = submittedAt
        self.updatedAt = updatedAt
    }

    /// Orders the statuses of one task: first by attempt, then by sequence.
    public struct Version: Sendable, Hashable, Comparable {
        public var attempt: Int
        public var sequence: Int

        public init(attempt: Int, sequence: Int) {
            self.attempt = attempt
            self.sequence = sequence
        }

        public static func < (left: Version, right: Version) -> Bool {
            (left.attempt, left.sequence) < (right.attempt, right.sequence)
        }
    }

    public var version: Version { Version(attempt: attempt, sequence: sequence) }

    /// Whether this status tells something to whoever has seen `other` of the same task: nothing follows a final state,
    /// and nothing older counts.
    public func supersedes(_ other: TaskStatus) -> Bool { !other.state.isFinal && version > other.version }
}

// MARK: - JSON

extension TaskStatus {
    /// Reads a status as it is published.
    /// - Returns: nil if it lacks an id, a name or a known state, or a number is none.
    public init?(json: JSONValue) {
        guard let id = json["task_id"]?.stringValue.flatMap(TaskID.init), let name = json["name"]?.stringValue,
            let state = json["status"]?.stringValue.flatMap(TaskState.init),
            let attempt = json["attempt"]?.integerValue.flatMap(Int.init(exactly:)),
            let sequence = json["sequence"]?.integerValue.flatMap(Int.init(exactly:))
        else { return nil }
        self.init(
            id: id, name: name, state: state, progress: json["progress"]?.doubleValue ?? 0, attempt: attempt,
            sequence: sequence, message: json["message"]?.stringValue, result: json["result"] ?? .null,
            user: json["user"]?.stringValue, queue: json["queue"]?.stringValue,
            maximumAttempts: json["max_attempts"]?.integerValue.flatMap(Int.init(exactly:)),
            submittedAt: json["submitted_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            updatedAt: json["updated_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)))
    }

    /// The text of ``json``, written without making that first.
    public func serialized() -> [UInt8] {
        var writer = JSONWriter(reserving: 512)
        writer.beginObject()
        writeMembers(to: &writer)
        writer.endObject()
        return writer.finish()
    }

    /// The members of ``json`` that are others in `later`, a status of the same task.
    public func serialized(differingFrom later: TaskStatus) -> [UInt8] {
        var writer = JSONWriter(reserving: 192)
        writer.beginObject()
        if state != later.state { writer.member("status", state.rawValue) }
        if progress != later.progress { writer.member("progress", TaskStatus.number(progress)) }
        if attempt != later.attempt { writer.member("attempt", attempt) }
        if sequence != later.sequence { writer.member("sequence", sequence) }
        if message != later.message { writer.member("message", message.map { .string($0) } ?? .null) }
        if result != later.result { writer.member("result", result) }
        if maximumAttempts != later.maximumAttempts {
            writer.member("max_attempts", maximumAttempts.map { .integer(Int64($0)) } ?? .null)
        }
        if submittedAt != later.submittedAt {
            writer.member("submitted_at", submittedAt.map { .string($0.description) } ?? .null)
        }
        if updatedAt != later.updatedAt {
            writer.member("updated_at", updatedAt.map { .string($0.description) } ?? .null)
        }
        writer.endObject()
        return writer.finish()
    }

    private static func number(_ value: Double) -> JSONValue {
        Int64(exactly: value).map { .integer($0) } ?? .double(value)
    }

    /// Writes the members of ``json`` into the object that has been begun.
    public func writeMembers(to writer: inout JSONWriter) { eachMember { name, value in writer.member(name, value) } }

    /// The status as it is published.
    public var json: JSONValue {
        var members = JSONObject()
        eachMember { name, value in members[name.description] = value }
        return .object(members)
    }

    private func eachMember(_ give: (StaticString, JSONValue) -> Void) {
        give("type", .string(TaskStatus.event))
        give("task_id", .string(id.description))
        give("name", .string(name))
        give("status", .string(state.rawValue))
        give("progress", TaskStatus.number(progress))
        give("attempt", .integer(Int64(attempt)))
        give("sequence", .integer(Int64(sequence)))
        give("message", message.map { .string($0) } ?? .null)
        give("result", result)
        if let user { give("user", .string(user)) }
        if let queue { give("queue", .string(queue)) }
        if let maximumAttempts { give("max_attempts", .integer(Int64(maximumAttempts))) }
        if let submittedAt { give("submitted_at", .string(submittedAt.description)) }
        if let updatedAt { give("updated_at", .string(updatedAt.description)) }
    }
}
