import Events
import GatewayWire
import JSON
import Testing

@Suite struct ServerSentEventsTests {
    @Test("an event is its name and its data, ended by an empty line")
    func event() {
        let bytes = ServerSentEvents.encodeBroadcast(
            Publication(payload: Array(#"{"a":1}"#.utf8), event: "notification", offset: 3), label: "c")
        #expect(String(decoding: bytes, as: UTF8.self) == "event: notification\ndata: {\"a\":1}\n\n")
    }

    @Test("a line break in an event's name cannot begin another field")
    func injection() {
        let bytes = ServerSentEvents.encodeBroadcast(
            Publication(payload: Array("1".utf8), event: "x\ndata: forged\r\n\n"), label: "c")
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines == ["event: x data: forged   ", "data: 1", "", ""])
    }

    @Test("the first event says where each channel is and whether it was recovered")
    func connected() throws {
        let bytes = ServerSentEvents.connected(
            client: "c1",
            channels: [
                ("room:a", SubscribeResult(position: StreamPosition(epoch: "e", offset: 7), recovery: .recovered)),
                ("plain", SubscribeResult()),
            ])
        let text = String(decoding: bytes, as: UTF8.self)
        let data = try #require(text.split(separator: "\n").first { $0.hasPrefix("data: ") }?.dropFirst(6))
        #expect(
            try JSONValue(parsing: String(data)) == [
                "client": "c1",
                "channels": [
                    "room:a": ["recovered": true, "position": ["epoch": "e", "offset": 7]],
                    "plain": ["recovered": false],
                ],
            ])
    }

    @Test("a cursor's text is read back, whatever the names hold")
    func cursorRoundTrip() throws {
        var cursor = ChannelCursor()
        for label in ["room:lobby", "a~b", "c,d", "ü:%41", "with space\n"] {
            cursor[label] = StreamPosition(epoch: "ep~och,", offset: .max)
        }
        let text = cursor.text
        #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect(try #require(ChannelCursor(text)) == cursor)
    }

    @Test("what is no cursor is refused", arguments: ["x", "a~b", "a~b~c", "a~b~-1", "%zz~e~1", "a~b~1~2"])
    func refusesCursor(_ text: String) {
        #expect(ChannelCursor(text) == nil)
    }
}
