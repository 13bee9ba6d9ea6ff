internal import JSON

/// What a stream answers when it has stored a message.
public struct PublishAcknowledgement: Sendable, Equatable {
    public var stream: String
    public var sequence: UInt64
    /// Whether the stream already held a message of the same `Nats-Msg-Id`; `sequence` is then that one's.
    public var isDuplicate: Bool
}

extension JetStream {
    static let expectedLastSubjectSequence = "Nats-Expected-Last-Subject-Sequence"

    /// Publishes to the stream that takes the subject and returns when it is stored.
    /// - Throws: `noResponders` if no stream takes the subject, `conflict` if a header expects another last sequence,
    ///   `streamFull`; after `timeout` and `notConnected` it is unknown whether the message was stored.
    @discardableResult
    public func publish(_ message: NATSMessage) async throws(NATSError) -> PublishAcknowledgement {
        let answer: NATSMessage
        do throws(NATSError) {
            answer = try await connection.request(message, timeout: timeout)
        } catch {
            throw JetStream.explained(error)
        }
        return try PublishAcknowledgement(answer.payload)
    }

    /// Publishes messages in their order without waiting for one to be stored before the next is sent.
    /// - Throws: the first error. A message behind one whose connection was lost has not been stored.
    @discardableResult
    public func publishInOrder(_ messages: [NATSMessage]) async throws(NATSError) -> [PublishAcknowledgement] {
        var acknowledgements: [PublishAcknowledgement] = []
        for result in await connection.requestInOrder(messages, timeout: timeout) {
            do throws(NATSError) {
                acknowledgements.append(try PublishAcknowledgement(try result.get().payload))
            } catch {
                throw JetStream.explained(error)
            }
        }
        return acknowledgements
    }

    static func explained(_ error: NATSError) -> NATSError {
        error.code == .noResponders
            ? NATSError(.noResponders, "no stream takes messages on this subject (now); make the stream or try again")
            : error
    }
}

extension PublishAcknowledgement {
    init(_ payload: [UInt8]) throws(NATSError) {
        let answer = try JetStream.read(payload)
        guard let stream = answer["stream"]?.stringValue, let sequence = answer["seq"]?.unsignedValue, sequence > 0
        else { throw NATSError(.failed, "what answered is not a stream: no acknowledgement came back") }
        self.init(stream: stream, sequence: sequence, isDuplicate: answer["duplicate"]?.boolValue ?? false)
    }
}
