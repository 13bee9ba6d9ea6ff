package import JSON

/// Version 1 of Phoenix's protocol: `Phoenix.Socket.V1.JSONSerializer`, which Supabase's clients speak too.
///
/// ```
/// {"topic":"room:lobby","event":"shout","payload":{"text":"hi"},"ref":"3","join_ref":"1"}
/// ```
/// Supabase's clients know one event for messages, `broadcast`, whose payload holds the name and payload that the
/// application gave: `{"type":"broadcast","event":"shout","payload":{…}}`. On their topics, `realtime:…`, other events are
/// put into that form.
package enum PhoenixObjects: PhoenixFormat {
    /// What Supabase's clients put before the name of every channel.
    package static let supabasePrefix = "realtime:"
    private static let broadcast = "broadcast"
    /// Events besides `broadcast` that those clients read.
    private static let known: Set<String> = ["postgres_changes", "system"]

    package static func decode(_ frame: [UInt8]) throws(WireError) -> PhoenixMessage {
        let members: PhoenixMembers?
        do throws(JSONError) {
            members = try JSONReader.read(frame) { reader throws(JSONError) in try self.members(&reader) }
        } catch {
            throw WireError("a message is not JSON")
        }
        guard let members else { throw WireError("a message is not an object") }
        return try PhoenixMessage(members)
    }

    private static func members(_ reader: inout JSONReader) throws(JSONError) -> PhoenixMembers? {
        let isObject = try reader.beginObject()
        var members = PhoenixMembers()
        while isObject, let name = try reader.nextName() {
            switch name {
            case "join_ref": members.joinReference = try reader.value()
            case "ref": members.reference = try reader.value()
            case "topic": members.topic = try reader.string()?.string
            case "event": members.event = try reader.string()?.string
            case "payload": members.payload = JSONText.singleLine(checked: try reader.text())
            default: try reader.skip()
            }
        }
        try reader.finish()
        return isObject ? members : nil
    }

    package static func encode(
        joinReference: JSONValue, reference: JSONValue, topic: String, event: String, payload: [UInt8]
    ) -> [UInt8] {
        var message = JSONWriter(reserving: payload.count + topic.utf8.count + event.utf8.count + 96)
        message.beginObject()
        message.member("topic", topic)
        message.member("event", event)
        message.member("payload", text: payload)
        message.member("ref", reference)
        message.member("join_ref", joinReference)
        message.endObject()
        return message.finish()
    }

    package static func publication(
        _ publication: Publication, topic: String
    ) -> (event: String, payload: [UInt8]) {
        guard topic.hasPrefix(supabasePrefix), !known.contains(publication.event) else {
            return (publication.event, publication.payload)
        }
        if publication.event == broadcast, inner(publication.payload) != nil {
            return (publication.event, publication.payload)
        }
        var payload = JSONWriter(reserving: publication.payload.count + publication.event.utf8.count + 64)
        payload.beginObject()
        payload.member("type", broadcast)
        payload.member("event", publication.event)
        payload.member("payload", text: publication.payload)
        payload.endObject()
        return (broadcast, payload.finish())
    }

    /// The event and the payload that a broadcast's payload holds; nil if it names no event.
    private static func inner(_ payload: [UInt8]) -> (event: String, payload: [UInt8])? {
        let read = try? JSONReader.read(payload) { reader throws(JSONError) -> (event: String, payload: [UInt8])? in
            var event: String?
            var payload = Array("{}".utf8)
            let isObject = try reader.beginObject()
            while isObject, let name = try reader.nextName() {
                switch name {
                case "event": event = try reader.string()?.string
                case "payload": payload = JSONText.singleLine(checked: try reader.text())
                default: try reader.skip()
                }
            }
            try reader.finish()
            return event.map { ($0, payload) }
        }
        return read ?? nil
    }

    package static func refusal(_ event: String, topic: String) -> String? {
        // What `track` and `untrack` push; published, it would be a message that nobody understands.
        guard topic.hasPrefix(supabasePrefix), event == "presence" else { return nil }
        return "presence is what the token says; it cannot be tracked"
    }

    /// Under another name of a channel the application's own event is published, so that clients of every protocol get
    /// it; on channels of a namespace `realtime` what was sent stays as it is.
    package static func published(
        _ event: String, _ payload: [UInt8], topic: String, isAlias: Bool
    ) -> (event: String, payload: [UInt8]) {
        guard isAlias, event == broadcast, let inner = inner(payload) else { return (event, payload) }
        return inner
    }
}
