package import JSON

/// A message of a Phoenix client, whichever version of the protocol it came in.
package struct PhoenixMessage: Sendable, Equatable {
    package enum Payload: Sendable, Equatable {
        /// Checked text on one line.
        case json([UInt8])
        /// What a binary frame carries, as it is.
        case binary([UInt8])
    }

    /// Which join of the topic it belongs to; null on topics that are not joined, and in version 1.
    package var joinReference: JSONValue
    /// What the answer is to repeat. A text in phoenix.js; other clients send numbers, or null for what wants no answer.
    package var reference: JSONValue
    package var topic: String
    package var event: String
    package var payload: Payload

    package init(
        joinReference: JSONValue = .null, reference: JSONValue = .null, topic: String, event: String, payload: Payload
    ) {
        self.joinReference = joinReference
        self.reference = reference
        self.topic = topic
        self.event = event
        self.payload = payload
    }

    /// - Throws: for members that no client sends.
    init(_ members: PhoenixMembers) throws(WireError) {
        joinReference = try PhoenixMessage.reference(members.joinReference)
        reference = try PhoenixMessage.reference(members.reference)
        guard let topic = members.topic, let event = members.event else {
            throw WireError("a message without topic or event")
        }
        self.topic = topic
        self.event = event
        payload = .json(members.payload ?? Array("null".utf8))
    }

    /// A reference is repeated in answers, so that its size counts.
    private static let maximumReferenceBytes = 255

    private static func reference(_ value: JSONValue?) throws(WireError) -> JSONValue {
        switch value {
        case nil, .null?: return .null
        case .integer?: return value ?? .null
        case .string(let text)? where text.utf8.count <= maximumReferenceBytes: return .string(text)
        default: throw WireError("a reference that is no text or integer")
        }
    }
}

/// What was read of a message, before it is known whether that can be one. Texts that are none are missing.
struct PhoenixMembers {
    var joinReference: JSONValue?
    var reference: JSONValue?
    var topic: String?
    var event: String?
    var payload: [UInt8]?
}

/// How a version of Phoenix's protocol writes its messages: a value without state.
package protocol PhoenixFormat: Sendable {
    static func decode(_ frame: [UInt8]) throws(WireError) -> PhoenixMessage

    /// - Parameter payload: JSON text on one line.
    static func encode(
        joinReference: JSONValue, reference: JSONValue, topic: String, event: String, payload: [UInt8]
    ) -> [UInt8]

    /// What a publication is called and holds for those who call its channel `topic`.
    static func publication(_ publication: Publication, topic: String) -> (event: String, payload: [UInt8])

    /// Why an event cannot be pushed on `topic`, if the clients of this version mean something by it that is not offered.
    static func refusal(_ event: String, topic: String) -> String?

    /// What a client's push on `topic` publishes; payloads are checked text on one line.
    /// - Parameter isAlias: whether the topic is another name of a channel, as Supabase's clients write them.
    static func published(
        _ event: String, _ payload: [UInt8], topic: String, isAlias: Bool
    ) -> (event: String, payload: [UInt8])
}
