internal import JSON

/// A message that a stream holds.
public struct StreamMessage: Sendable, Equatable {
    public var message: NATSMessage
    public var sequence: UInt64
    /// When it was stored, in nanoseconds since 1970.
    public var storedAtNanoseconds: Int64
}

extension StreamMessage {
    /// Reads the answer to a direct get: the stored message with headers that say where it came from.
    init?(direct answer: NATSMessage) {
        var headers = answer.headers
        guard let subject = headers["Nats-Subject"], let sequence = headers["Nats-Sequence"].flatMap({ UInt64($0) }),
            let time = headers["Nats-Time-Stamp"].flatMap(ServerTime.nanoseconds)
        else { return nil }
        for name in ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence"] {
            headers[name] = nil
        }
        self.init(
            message: NATSMessage(subject: subject, headers: headers, payload: answer.payload), sequence: sequence,
            storedAtNanoseconds: time)
    }

    /// Reads the `message` of an answer of `STREAM.MSG.GET`.
    init?(json: JSONValue?) {
        guard let json, let subject = json["subject"]?.stringValue, let sequence = json["seq"]?.unsignedValue,
            let time = json["time"]?.stringValue.flatMap(ServerTime.nanoseconds),
            let payload = Base64.decode(json["data"]?.stringValue ?? ""),
            let headerBlock = Base64.decode(json["hdrs"]?.stringValue ?? "")
        else { return nil }
        self.init(
            message: NATSMessage(subject: subject, headers: NATSHeaders(block: headerBlock), payload: payload),
            sequence: sequence, storedAtNanoseconds: time)
    }

    /// What a consumer delivered.
    init?(delivered message: NATSMessage) {
        guard let metadata = message.replyTo.flatMap(DeliveryMetadata.init) else { return nil }
        self.init(
            message: NATSMessage(subject: message.subject, headers: message.headers, payload: message.payload),
            sequence: metadata.sequence, storedAtNanoseconds: metadata.storedAtNanoseconds)
    }
}

/// What the reply subject of a delivered message says of it:
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, with domain and account in
/// front of the stream and one more token at the end on servers that have them.
public struct DeliveryMetadata: Sendable, Equatable {
    public var stream: String
    public var consumer: String
    /// How often the message was delivered, this time included.
    public var deliveries: UInt64
    public var sequence: UInt64
    /// Counts the deliveries of the consumer, without gaps.
    public var consumerSequence: UInt64
    /// When the stream took it, in nanoseconds since 1970.
    public var storedAtNanoseconds: Int64
    /// How many messages the consumer has not delivered yet.
    public var pending: UInt64

    init?(replyTo: String) {
        let tokens = replyTo.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 9 || tokens.count >= 11, tokens[0] == "$JS", tokens[1] == "ACK" else { return nil }
        let rest = Array(tokens.count == 9 ? tokens[2...] : tokens[4...])
        guard let deliveries = UInt64(rest[2]), let sequence = UInt64(rest[3]), let consumerSequence = UInt64(rest[4]),
            let time = Int64(rest[5]), let pending = UInt64(rest[6])
        else { return nil }
        stream = String(rest[0])
        consumer = String(rest[1])
        self.deliveries = deliveries
        self.sequence = sequence
        self.consumerSequence = consumerSequence
        storedAtNanoseconds = time
        self.pending = pending
    }
}

extension NATSMessage {
    /// What is known of a message that a consumer delivered; nil for any other.
    public var deliveryMetadata: DeliveryMetadata? { replyTo.flatMap(DeliveryMetadata.init) }
}
