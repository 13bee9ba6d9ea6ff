import Events
import GatewayWire
import JSON
import Testing

@Suite struct LongPollingTests {
    @Test("an answer has its messages, the position behind them, and whether all of them are there")
    func answer() throws {
        var cursor = ChannelCursor()
        cursor["room:lobby"] = StreamPosition(epoch: "e", offset: 8)
        let messages = [
            LongPolling.encodeBroadcast(
                Publication(payload: Array(#"{"a":[1,null]}"#.utf8), event: "x\"\n", offset: 8), label: "room:lobby"),
            LongPolling.encodeBroadcast(Publication(payload: Array("7".utf8)), label: "plain"),
        ]
        let bytes = LongPolling.answer(messages: messages, position: cursor, lost: [])
        #expect(
            try JSONValue(parsing: bytes) == [
                "messages": [
                    ["channel": "room:lobby", "event": "x\"\n", "data": ["a": [1, nil]], "offset": 8],
                    ["channel": "plain", "event": "message", "data": 7, "offset": nil],
                ],
                "position": .string(cursor.text), "recovered": true,
            ])
    }

    @Test("without messages the list is empty; channels that lost some are named")
    func empty() throws {
        let bytes = LongPolling.answer(messages: [], position: ChannelCursor(), lost: ["room:a", "b"])
        #expect(
            try JSONValue(parsing: bytes) == [
                "messages": [], "position": "", "recovered": false, "lost": ["room:a", "b"],
            ])
    }

    @Test("messages that were left out are a message of their own")
    func dropped() throws {
        var codec = LongPolling()
        let encoded = codec.encode(.dropped(channel: "c", count: 3))
        let bytes = try #require(encoded)
        #expect(
            try JSONValue(parsing: bytes) == [
                "channel": "c", "event": "dropped", "data": ["type": "dropped", "channel": "c", "count": 3],
                "offset": nil,
            ])
    }

    @Test("a position that names more channels than anybody may follow is refused before it costs anything")
    func hugeCursor() {
        let text = (0..<2000).map { "c\($0)~e~1" }.joined(separator: ",")
        #expect(ChannelCursor(text) == nil)
    }
}
