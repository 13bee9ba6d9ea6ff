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
        let members: PhoenixMembers?
        do throws(JSONError) {
            members = try JSONReader.read(frame) { reader throws(JSONError) in try self.members(&reader) }
        } catch {
            throw WireError("a message is not JSON")
        }
        guard let members else { throw WireError("a message is not an array of five") }
        return try PhoenixMessage(members)
    }

    private static func members(_ reader: inout JSONReader) throws(JSONError) -> PhoenixMembers? {
        var members = PhoenixMembers()
        var count = 0
        if try reader.beginArray() {
            while try reader.nextElement() {
                switch count {
                case 0: members.joinReference = try reader.value()
                case 1: members.reference = try reader.value()
                case 2: members.topic = try reader.string()?.string
                case 3: members.event = try reader.string()?.string
                case 4: members.payload = JSONText.singleLine(checked: try reader.text())
                default: try reader.skip()
                }
                count += 1
            }
        }
        try reader.finish()
        return count == 5 ? members : nil
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
        var writer = JSONWriter(reserving: payload.count + topic.utf8.count + event.utf8.count + 48)
        writer.beginArray()
        writer.write(joinReference)
        writer.write(reference)
        writer.write(topic)
        writer.write(event)
        writer.write(text: payload)
        writer.endArray()
        return writer.finish()
    }

    package static func publication(
        _ publication: Publication, topic: String
    ) -> (event: String, payload: [UInt8]) {
        (publication.event, publication.payload)
    }

    package static func refusal(_ event: String, topic: String) -> String? { nil }

    package static func published(
        _ event: String, _ payload: [UInt8], topic: String, isAlias: Bool
    ) -> (event: String, payload: [UInt8]) {
        (event, payload)
    }
}
