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
        let data: JSONValue = ["type": "dropped", "channel": .string(channel), "count": .integer(Int64(count))]
        return LongPolling.message(channel: channel, event: "dropped", data: data.serialized(), offset: nil)
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        message(
            channel: label, event: publication.event, data: publication.payload, offset: publication.offset)
    }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect { disconnect }

    private static func message(channel: String, event: String, data: [UInt8], offset: UInt64?) -> [UInt8] {
        var body = JSONObjectWriter(reserving: data.count + 96)
        body.add("channel", channel)
        body.add("event", event)
        body.add("data", text: data)
        if let offset { body.add("offset", offset) } else { body.add("offset", JSONValue.null) }
        return body.finish()
    }

    /// The whole answer.
    /// - Parameters:
    ///   - messages: as ``encodeBroadcast(_:label:)`` makes them, in order.
    ///   - lost: the channels of which messages that the client has not seen are gone. The others went on where they were.
    package static func answer(messages: [[UInt8]], position: ChannelCursor, lost: [String]) -> [UInt8] {
        var body = JSONObjectWriter(reserving: messages.reduce(128) { $0 + $1.count + 1 })
        body.add("messages", texts: messages)
        body.add("position", position.text)
        body.add("recovered", lost.isEmpty)
        if !lost.isEmpty { body.add("lost", .array(lost.map(JSONValue.string))) }
        return body.finish()
    }
}
