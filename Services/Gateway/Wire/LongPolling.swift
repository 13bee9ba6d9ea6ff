internal import JSON

/// Long and plain polling: an HTTP answer with the messages of several channels and the position behind them.
///
/// ```
/// {"messages":[{"channel":"room:lobby","event":"message","data":{"text":"hi"},"offset":8}],
///  "position":"room%3Alobby~5f3a~8","recovered":true}
/// {"messages":[],"position":"room%3Alobby~5f3a~99","recovered":false,"lost":["room:lobby"]}
/// ```
/// `position` is a ``ChannelCursor`` and what the next request gives as `after`.
package struct LongPolling: WireProtocol {
    package init() {}

    /// Nothing comes from the client after its request.
    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] { [] }

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? {
        guard case .dropped(let channel, let count) = message else { return nil }
        var data = JSONWriter(reserving: 128)
        data.writeDropped(channel: channel, count: count)
        return LongPolling.message(channel: channel, event: "dropped", data: data.finish(), offset: nil)
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        message(
            channel: label, event: publication.event, data: publication.payload, offset: publication.offset)
    }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect { disconnect }

    private static func message(channel: String, event: String, data: [UInt8], offset: UInt64?) -> [UInt8] {
        var body = JSONWriter(reserving: data.count + channel.utf8.count + event.utf8.count + 96)
        body.beginObject()
        body.member("channel", channel)
        body.member("event", event)
        body.member("data", text: data)
        body.name("offset")
        if let offset { body.write(offset) } else { body.writeNull() }
        body.endObject()
        return body.finish()
    }

    /// The whole answer.
    /// - Parameters:
    ///   - messages: as ``encodeBroadcast(_:label:)`` makes them, in order.
    ///   - lost: the channels of which messages that the client has not seen are gone. The others went on where they were.
    package static func answer(messages: [[UInt8]], position: ChannelCursor, lost: [String]) -> [UInt8] {
        var body = JSONWriter(reserving: messages.reduce(128) { $0 + $1.count + 1 })
        body.beginObject()
        body.name("messages")
        body.beginArray()
        for message in messages { body.write(text: message) }
        body.endArray()
        body.member("position", position.text)
        body.member("recovered", lost.isEmpty)
        if !lost.isEmpty { body.member("lost", .array(lost.map(JSONValue.string))) }
        body.endObject()
        return body.finish()
    }
}
