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
