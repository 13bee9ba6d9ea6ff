public import Events

/// A message as it travels on the bus.
public struct BusMessage: Sendable, Equatable {
    public var subject: String
    /// Where an answer is expected, for requests.
    public var replyTo: String?
    public var headers: BusHeaders
    public var payload: [UInt8]

    public init(subject: String, headers: BusHeaders = [:], payload: [UInt8] = [], replyTo: String? = nil) {
        self.subject = subject
        self.replyTo = replyTo
        self.headers = headers
        self.payload = payload
    }
}

/// A message that a stream holds.
public struct StoredMessage: Sendable, Equatable {
    public var message: BusMessage
    /// Its number in the stream, from 1.
    public var sequence: UInt64
    /// When the stream took it.
    public var storedAt: Timestamp

    public init(message: BusMessage, sequence: UInt64, storedAt: Timestamp) {
        self.message = message
        self.sequence = sequence
        self.storedAt = storedAt
    }
}
