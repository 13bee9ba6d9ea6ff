package import JSON

/// Version 2 of Phoenix's protocol: `Phoenix.Socket.V2.JSONSerializer` of github.com/phoenixframework/phoenix.
///
/// ```
/// ["1","3","room:lobby","shout",{"text":"hi"}]           join reference, reference, topic, event, payload
/// ```
/// A push with binary data is a binary frame: a zero byte, the lengths of join reference, reference, topic and event in a
/// byte each, the four texts, the data.
package enum PhoenixArrays: PhoenixFormat {
    private static let pushKind: UInt8 = 0

    package static func decode(_ frame: [UInt8]) throws(WireError) -> PhoenixMessage {
        // No JSON text begins with a byte that small.
        if let first = frame.first, first < 0x09 { return try decode(binary: frame) }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: frame)
        } catch {
            throw WireError("a message is not JSON")
        }
        guard let members = value.arrayValue, members.count == 5 else {
            throw WireError("a message is not an array of five")
        }
        return try PhoenixMessage(
            joinReference: members[0], reference: members[1], topic: members[2], event: members[3],
            payload: members[4])
    }

    private static func decode(binary frame: [UInt8]) throws(WireError) -> PhoenixMessage {
        guard frame[0] == pushKind, frame.count >= 5 else { throw WireError("a binary frame that is no push") }
        var texts: [String] = []
        var position = 5
        for length in frame[1...4].map(Int.init) {
            guard position + length <= frame.count,
                let text = String(validating: frame[position..<position + length], as: UTF8.self)
            else { throw WireError("a binary frame that ends too early or is not UTF-8") }
            texts.append(text)
            position += length
        }
        return PhoenixMessage(
            joinReference: reference(texts[0]), reference: reference(texts[1]), topic: texts[2], event: texts[3],
            payload: .binary(Array(frame[position...])))
    }

    private static func reference(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

    package static func encode(
        joinReference: JSONValue, reference: JSONValue, topic: String, event: String, payload: [UInt8]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + topic.utf8.count + event.utf8.count + 32)
        bytes.append(UInt8(ascii: "["))
        joinReference.write(to: &bytes)
        bytes.append(UInt8(ascii: ","))
        reference.write(to: &bytes)
        bytes.append(UInt8(ascii: ","))
        JSONValue.write(string: topic, to: &bytes)
        bytes.append(UInt8(ascii: ","))
        JSONValue.write(string: event, to: &bytes)
        bytes.append(UInt8(ascii: ","))
        bytes.append(contentsOf: payload)
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }

    package static func publication(
        _ publication: Publication, topic: String
    ) -> (event: String, payload: [UInt8]) {
        (publication.event, publication.payload)
    }

    package static func refusal(_ event: String, topic: String) -> String? { nil }

    package static func published(
        _ event: String, _ payload: JSONValue, topic: String, isAlias: Bool
    ) -> (event: String, payload: JSONValue) {
        (event, payload)
    }
}
