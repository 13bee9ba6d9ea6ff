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
        for result in await connection.requestInOrder(messages, timeout: timeout, JetStream.acknowledgement) {
            do throws(NATSError) {
                acknowledgements.append(try result.get())
            } catch {
                throw JetStream.explained(error)
            }
        }
        return acknowledgements
    }

    /// Publishes messages that have nothing to do with one another, one right behind the other, and returns when all of them are
    /// stored. One that is not holds up none behind it.
    /// - Parameter write: makes the messages, one by one; called once.
    /// - Throws: why one was not stored; of the others it is not known then.
    public func publishAtOnce(_ write: (_ add: @escaping (NATSMessage) -> Void) -> Void) async throws(NATSError) {
        let stored: [PublishAcknowledgement]
        do throws(NATSError) {
            stored = try await connection.requestAtOnce(timeout: timeout, JetStream.acknowledgement, write)
        } catch {
            throw JetStream.explained(error)
        }
        // Answers do not say which message they are about, but each that is new has a place of its own.
        let new = stored.filter { !$0.isDuplicate }
        guard Set(new.map(\.place)).count == new.count else {
            throw NATSError(.failed, "streams acknowledged fewer messages than were published; publish again")
        }
    }

    private static func acknowledgement(_ answer: NATSAnswer) -> Result<PublishAcknowledgement, NATSError> {
        do throws(NATSError) {
            return .success(try PublishAcknowledgement(answer.payload))
        } catch {
            return .failure(error)
        }
    }

    static func explained(_ error: NATSError) -> NATSError {
        error.code == .noResponders
            ? NATSError(.noResponders, "no stream takes messages on this subject (now); make the stream or try again")
            : error
    }
}

extension PublishAcknowledgement {
    fileprivate var place: Place { Place(stream: stream, sequence: sequence) }

    fileprivate struct Place: Hashable {
        let stream: String
        let sequence: UInt64
    }

    init(_ payload: [UInt8]) throws(NATSError) {
        if let acknowledgement = PublishAcknowledgement(scanning: payload) {
            self = acknowledgement
            return
        }
        // An error, which says more than that it is one, or nothing of JetStream's.
        _ = try JetStream.read(payload)
        throw NATSError(.failed, "what answered is not a stream: no acknowledgement came back")
    }

    /// Reads it without making values of the text, since one comes for every message that is stored.
    /// - Returns: nil if it is none.
    private init?(scanning payload: [UInt8]) {
        var stream: String?
        var (sequence, isDuplicate): (UInt64, Bool) = (0, false)
        var isAcknowledgement = true
        do throws(JSONError) {
            try JSONReader.read(payload) { reader throws(JSONError) in
                guard try reader.beginObject() else {
                    isAcknowledgement = false
                    return
                }
                while let name = try reader.nextName() {
                    switch name {
                    case "stream": stream = try reader.string()?.string
                    case "seq": sequence = try reader.integer().flatMap(UInt64.init(exactly:)) ?? 0
                    case "duplicate": isDuplicate = try reader.bool() ?? false
                    case "error":
                        isAcknowledgement = reader.isAtNull()
                        try reader.skip()
                    default: try reader.skip()
                    }
                }
                try reader.finish()
            }
        } catch {
            return nil
        }
        guard isAcknowledgement, let stream, sequence > 0 else { return nil }
        self.init(stream: stream, sequence: sequence, isDuplicate: isDuplicate)
    }
}
