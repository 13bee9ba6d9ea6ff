/// What a stream must be like. ``EventBus/ensureStream(_:)`` makes it so or fails.
public struct StreamSpecification: Sendable, Equatable {
    public enum Retention: Sendable, Equatable {
        /// Messages stay until a limit removes them.
        case limits
        /// Each message is for one consumer and goes when it is acknowledged.
        case workQueue
    }

    /// What happens to a new message when the stream is full.
    public enum Overflow: Sendable, Equatable {
        case discardOldest
        /// Publishing fails with ``BusError/Code/streamFull``.
        case refuseNewest
    }

    /// Republish each stored message, on the subject where `source` is replaced by `destination` (both end in `.>`),
    /// with the headers ``HeaderName/sequence`` and ``HeaderName/lastSequence``.
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
    public var retention: Retention
    public var overflow: Overflow
    /// Limits; nil is none.
    public var maximumMessages: Int64?
    public var maximumMessagesPerSubject: Int64?
    public var maximumBytes: Int64?
    public var maximumAge: Duration?
    /// How long a `Nats-Msg-Id` is remembered.
    public var duplicateWindow: Duration
    public var republish: Republish?
    public var replicas: Int

    public init(
        name: String, subjects: [String], retention: Retention = .limits, overflow: Overflow = .discardOldest,
        maximumMessages: Int64? = nil, maximumMessagesPerSubject: Int64? = nil, maximumBytes: Int64? = nil,
        maximumAge: Duration? = nil, duplicateWindow: Duration = .seconds(120), republish: Republish? = nil,
        replicas: Int = 1
    ) {
        self.name = name
        self.subjects = subjects
        self.retention = retention
        self.overflow = overflow
        self.maximumMessages = maximumMessages
        self.maximumMessagesPerSubject = maximumMessagesPerSubject
        self.maximumBytes = maximumBytes
        self.maximumAge = maximumAge
        self.duplicateWindow = duplicateWindow
        self.republish = republish
        self.replicas = replicas
    }
}

/// What a stream holds now.
public struct StreamState: Sendable, Equatable {
    /// Names this life of the stream: a stream that was deleted and made again has another one.
    public var epoch: String
    /// The sequence of the oldest message; one more than `lastSequence` when the stream is empty.
    public var firstSequence: UInt64
    public var lastSequence: UInt64
    public var messages: UInt64

    public init(epoch: String, firstSequence: UInt64, lastSequence: UInt64, messages: UInt64) {
        self.epoch = epoch
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.messages = messages
    }
}

/// A durable pull consumer: the server remembers what was acknowledged, whoever fetches.
public struct ConsumerSpecification: Sendable, Equatable {
    public var stream: String
    /// The durable name: letters, digits, `_`, `-`.
    public var name: String
    /// One subject or wildcard of the stream; nil is all of it.
    public var filter: String?
    /// How long a delivered message may stay unacknowledged before it is delivered again.
    public var acknowledgementWait: Duration
    /// How often a message is delivered at the most; nil is without end.
    public var maximumDeliveries: Int?
    /// How many messages may be delivered and not acknowledged, over all who fetch.
    public var maximumUnacknowledged: Int

    public init(
        stream: String, name: String, filter: String? = nil, acknowledgementWait: Duration = .seconds(30),
        maximumDeliveries: Int? = nil, maximumUnacknowledged: Int = 1000
    ) {
        self.stream = stream
        self.name = name
        self.filter = filter
        self.acknowledgementWait = acknowledgementWait
        self.maximumDeliveries = maximumDeliveries
        self.maximumUnacknowledged = maximumUnacknowledged
    }
}

/// How far a durable consumer has come.
public struct ConsumerState: Sendable, Equatable {
    /// How many messages it has never delivered.
    public var pending: UInt64
    /// How many are delivered and not acknowledged, those that wait for another delivery among them.
    public var unacknowledged: Int
    /// The highest sequence of the stream that it has delivered; 0 before the first.
    public var lastDelivered: UInt64
    /// Everything up to this sequence is acknowledged, and none of it is delivered again, whether or not the stream still
    /// holds it.
    public var acknowledged: UInt64

    public init(pending: UInt64, unacknowledged: Int, lastDelivered: UInt64, acknowledged: UInt64) {
        self.pending = pending
        self.unacknowledged = unacknowledged
        self.lastDelivered = lastDelivered
        self.acknowledged = acknowledged
    }
}

/// A key-value bucket.
public struct BucketSpecification: Sendable, Equatable {
    /// Letters, digits, `_`, `-`.
    public var name: String
    /// How many revisions of a key are kept, 1 to 64.
    public var history: Int
    /// How long a value stays; nil is for ever.
    public var timeToLive: Duration?
    public var replicas: Int

    public init(name: String, history: Int = 1, timeToLive: Duration? = nil, replicas: Int = 1) {
        self.name = name
        self.history = history
        self.timeToLive = timeToLive
        self.replicas = replicas
    }
}
