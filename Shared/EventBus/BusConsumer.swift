public import Events

/// A durable pull consumer. Any number of processes may fetch from the same one; each message goes to one of them.
public protocol BusConsumer: Sendable {
    /// Up to `maximum` messages; waits up to `wait` for the first. Empty if none came.
    ///
    /// Cancelling the calling task ends the wait soon; messages that come too late for it are delivered again after
    /// the acknowledgement wait.
    func fetch(_ maximum: Int, wait: Duration) async throws(BusError) -> [Delivery]
}

/// A message handed to this process by a consumer, to be answered with exactly one of ``acknowledge()``,
/// ``retry(after:)`` or ``terminate()``. One that is not answered is delivered again after the acknowledgement wait.
public struct Delivery: Sendable {
    public let message: BusMessage
    /// Its sequence in the stream.
    public let sequence: UInt64
    /// How often it has been delivered, this time included.
    public let attempt: Int
    /// When the stream took it.
    public let storedAt: Timestamp
    /// How many messages the consumer has not delivered yet.
    public let pending: UInt64

    private let answer: @Sendable (Answer) async throws(BusError) -> Void

    /// What can be said of a delivery.
    public enum Answer: Sendable, Equatable {
        case acknowledge
        case acknowledgeUnconfirmed
        case retry(after: Duration)
        case extend
        case terminate
    }

    public init(
        message: BusMessage, sequence: UInt64, attempt: Int, storedAt: Timestamp, pending: UInt64,
        answer: @escaping @Sendable (Answer) async throws(BusError) -> Void
    ) {
        self.message = message
        self.sequence = sequence
        self.attempt = attempt
        self.storedAt = storedAt
        self.pending = pending
        self.answer = answer
    }

    /// Says that the message is done, and returns when the server knows.
    public func acknowledge() async throws(BusError) { try await answer(.acknowledge) }

    /// Says that the message is done, and does not wait for the server to know. For who finds it done already should it come
    /// again, which costs the bus less than to be told each time that it does not.
    /// - Throws: if it could not be said at all.
    public func acknowledgeUnconfirmed() async throws(BusError) { try await answer(.acknowledgeUnconfirmed) }

    /// Asks for the message to be delivered again after `delay`.
    public func retry(after delay: Duration = .zero) async throws(BusError) { try await answer(.retry(after: delay)) }

    /// Starts the acknowledgement wait anew and returns when the server has confirmed: proof that this process still
    /// holds the message.
    public func extend() async throws(BusError) { try await answer(.extend) }

    /// Says that the message is never to be delivered again.
    public func terminate() async throws(BusError) { try await answer(.terminate) }
}
