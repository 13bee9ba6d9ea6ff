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
        let value: JSONValue
        do {
            value = try JSONValue(parsing: frame)
        } catch {
            throw WireError("a message is not JSON")
        }
        guard let members = value.objectValue else { throw WireError("a message is not an object") }
        return try PhoenixMessage(
            joinReference: members["join_ref"], reference: members["ref"], topic: members["topic"],
            event: members["event"], payload: members["payload"])
    }

    package static func encode(
        joinReference: JSONValue, reference: JSONValue, topic: String, event: String, payload: [UInt8]
    ) -> [UInt8] {
        var message = JSONObjectWriter(reserving: payload.count + topic.utf8.count + event.utf8.count + 64)
        message.add("topic", topic)
        message.add("event", event)
        message.add("payload", text: payload)
        message.add("ref", reference)
        message.add("join_ref", joinReference)
        return message.finish()
    }

    package static func publication(
        _ publication: Publication, topic: String
    ) -> (event: String, payload: [UInt8]) {
        guard topic.hasPrefix(supabasePrefix), !known.contains(publication.event) else {
            return (publication.event, publication.payload)
        }
        if publication.event == broadcast, isBroadcast(publication.payload) {
            return (publication.event, publication.payload)
        }
        var payload = JSONObjectWriter(reserving: publication.payload.count + 64)
        payload.add("type", broadcast)
        payload.add("event", publication.event)
        payload.add("payload", text: publication.payload)
        return (broadcast, payload.finish())
    }

    private static func isBroadcast(_ payload: [UInt8]) -> Bool {
        (try? JSONValue(parsing: payload))?["event"]?.stringValue != nil
    }

    package static func refusal(_ event: String, topic: String) -> String? {
        // What `track` and `untrack` push; published, it would be a message that nobody understands.
        guard topic.hasPrefix(supabasePrefix), event == "presence" else { return nil }
        return "presence is what the token says; it cannot be tracked"
    }

    /// Under another name of a channel the application's own event is published, so that clients of every protocol get
    /// it; on channels of a namespace `realtime` what was sent stays as it is.
    package static func published(
        _ event: String, _ payload: JSONValue, topic: String, isAlias: Bool
    ) -> (event: String, payload: JSONValue) {
        guard isAlias, event == broadcast, let inner = payload["event"]?.stringValue else { return (event, payload) }
        return (inner, payload["payload"] ?? .object([:]))
    }
}
