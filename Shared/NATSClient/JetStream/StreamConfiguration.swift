internal import JSON

/// The configuration of a stream, as far as this client sets it. What is not named here stays as the server or an
/// operator has it.
public struct StreamConfiguration: Sendable, Equatable {
    public enum Retention: String, Sendable {
        case limits
        case workQueue = "workqueue"
    }

    public enum Discard: String, Sendable {
        case old
        case new
    }

    public struct Republish: Sendable, Equatable {
        public var source: String
        public var destination: String

        public init(source: String, destination: String) {
            self.source = source
            self.destination = destination
        }
    }

    public var name: String
    public var subjects: [String]
    public var retention = Retention.limits
    public var discard = Discard.old
    /// Limits; nil is none.
    public var maximumMessages: Int64?
    public var maximumMessagesPerSubject: Int64?
    public var maximumBytes: Int64?
    public var maximumAge: Duration?
    /// How long a `Nats-Msg-Id` is remembered; at most the maximum age.
    public var duplicateWindow = Duration.seconds(120)
    public var republish: Republish?
    public var replicas = 1
    /// Whether single messages may not be deleted by request.
    public var deniesDeletion = false
    /// Whether a message may replace all earlier ones of its subject.
    public var allowsRollup = false

    public init(name: String, subjects: [String]) {
        self.name = name
        self.subjects = subjects
    }

    /// As JetStream takes it and echoes it.
    var json: JSONObject {
        let window = maximumAge.map { min($0, duplicateWindow) } ?? duplicateWindow
        return [
            "name": .string(name),
            "subjects": .array(subjects.map(JSONValue.string)),
            "retention": .string(retention.rawValue),
            "discard": .string(discard.rawValue),
            "storage": "file",
            "max_msgs": .integer(maximumMessages ?? -1),
            "max_msgs_per_subject": .integer(maximumMessagesPerSubject ?? -1),
            "max_bytes": .integer(maximumBytes ?? -1),
            "max_age": .integer(maximumAge?.wholeNanoseconds ?? 0),
            "duplicate_window": .integer(window.wholeNanoseconds),
            "republish": republish.map { ["src": .string($0.source), "dest": .string($0.destination)] } ?? .null,
            "num_replicas": .integer(Int64(replicas)),
            "deny_delete": .bool(deniesDeletion),
            "allow_rollup_hdrs": .bool(allowsRollup),
            // Lets a single message be read without the stream's leader parsing JSON.
            "allow_direct": true,
        ]
    }
}

/// What a stream holds now.
public struct StreamInformation: Sendable, Equatable {
    public var name: String
    /// When it was made, as the server writes it (RFC 3339). Two lives of a stream of the same name differ in it.
    public var created: String
    /// One more than the last sequence when the stream is empty.
    public var firstSequence: UInt64
    public var lastSequence: UInt64
    public var messages: UInt64

    init(_ answer: JSONValue) throws(NATSError) {
        guard let name = answer["config"]?["name"]?.stringValue, let created = answer["created"]?.stringValue,
            let state = answer["state"], let messages = state["messages"]?.unsignedValue,
            let first = state["first_seq"]?.unsignedValue, let last = state["last_seq"]?.unsignedValue
        else { throw NATSError(.failed, "JetStream described a stream in a way that is not understood") }
        self.name = name
        self.created = created
        self.messages = messages
        lastSequence = last
        // A new stream's first sequence is told as 0 or 1 by different servers.
        firstSequence = messages == 0 ? last &+ 1 : first
    }

    /// How many messages are gone since the oldest that is there.
    var removed: UInt64 {
        let sequences = firstSequence <= lastSequence ? lastSequence - firstSequence + 1 : 0
        return sequences - min(sequences, messages)
    }
}

extension JSONValue {
    /// A count or a sequence.
    var unsignedValue: UInt64? { integerValue.flatMap { UInt64(exactly: $0) } }
}
