import Events
import GatewayWire
import JSON
import Testing

/// Version 1, with frames of Supabase's `realtime` for Python 2.34.
@Suite struct PhoenixObjectsTests {
    typealias Objects = Phoenix<PhoenixObjects>

    private func text(_ frames: [[UInt8]]) -> [String] { frames.map { String(decoding: $0, as: UTF8.self) } }

    private static let join =
        #"{"event":"phx_join","payload":{"config":{"broadcast":{"ack":false,"self":false},"presence":{"key":"","enabled":false},"private":false,"postgres_changes":[]},"access_token":"abc"},"topic":"realtime:room:lobby","ref":"1","join_ref":"1"}"#

    @Test("realtime: before a channel's name is no namespace where there is none of that name")
    func alias() throws {
        var codec = Objects(aliasesSupabase: true)
        guard case .subscribe(let command, 1)? = try codec.decode(Array(Self.join.utf8)).first else {
            Issue.record("a join is no subscription")
            return
        }
        #expect(command.channel == "room:lobby")
        #expect(command.label == "realtime:room:lobby")
        #expect(command.connectionToken == "abc")
        #expect(!command.wantsPresence)
        var literal = Objects()
        guard case .subscribe(let other, 1)? = try literal.decode(Array(Self.join.utf8)).first else {
            Issue.record("a join is no subscription")
            return
        }
        #expect(other.channel == "realtime:room:lobby")
    }

    @Test("answers carry their references, and always a ref")
    func answers() throws {
        var codec = Objects(aliasesSupabase: true)
        _ = try codec.decode(Array(Self.join.utf8))
        let label = "realtime:room:lobby"
        #expect(
            text(codec.encodeFrames(.subscribed(channel: label, SubscribeResult(), 1)))
                == [
                    #"{"topic":"realtime:room:lobby","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1","join_ref":"1"}"#
                ])
        #expect(
            text(codec.encodeFrames(.members(channel: label, [])))
                == [
                    #"{"topic":"realtime:room:lobby","event":"presence_state","payload":{},"ref":null,"join_ref":"1"}"#
                ])
        _ = try codec.decode(Array(#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":null}"#.utf8))
        #expect(
            text(codec.encodeFrames(.pong(2)))
                == [
                    #"{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":null,"join_ref":null}"#
                ])
    }

    private let broadcast =
        #"{"topic":"realtime:room:lobby","event":"broadcast","payload":{"type":"broadcast","event":"shout","payload":{"a":1}},"ref":"2","join_ref":"1"}"#

    @Test("what Supabase's clients broadcast is published under the application's own event, and not to its sender")
    func publishes() throws {
        var codec = Objects(aliasesSupabase: true)
        _ = try codec.decode(Array(Self.join.utf8))
        #expect(
            try codec.decode(Array(broadcast.utf8))
                == [
                    .publish(
                        PublishCommand(
                            channel: "room:lobby", payload: Array(#"{"a":1}"#.utf8), event: "shout",
                            excludesSender: true), 2)
                ])
    }

    @Test("in a namespace realtime it is published as it came")
    func publishesLiterally() throws {
        var codec = Objects()
        _ = try codec.decode(Array(Self.join.utf8))
        guard case .publish(let command, 2)? = try codec.decode(Array(broadcast.utf8)).first else {
            Issue.record("a broadcast does not publish")
            return
        }
        #expect(command.event == "broadcast")
        #expect(
            try JSONValue(parsing: command.payload)
                == ["type": "broadcast", "event": "shout", "payload": ["a": 1]])
    }

    @Test("on Supabase's topics every event comes as a broadcast, once")
    func wraps() throws {
        let shout = Publication(payload: Array(#"{"a":1}"#.utf8), event: "shout")
        let expected =
            #"{"topic":"realtime:room:lobby","event":"broadcast","payload":{"type":"broadcast","event":"shout","payload":{"a":1}},"ref":null,"join_ref":null}"#
        #expect(text([Objects.encodeBroadcast(shout, label: "realtime:room:lobby")]) == [expected])
        let already = Publication(
            payload: Array(#"{"type":"broadcast","event":"shout","payload":{"a":1}}"#.utf8), event: "broadcast")
        #expect(text([Objects.encodeBroadcast(already, label: "realtime:room:lobby")]) == [expected])
        let row = Publication(payload: Array("{}".utf8), event: "postgres_changes")
        #expect(
            text([Objects.encodeBroadcast(row, label: "realtime:room:lobby")])
                == [
                    #"{"topic":"realtime:room:lobby","event":"postgres_changes","payload":{},"ref":null,"join_ref":null}"#
                ])
    }

    @Test("presence that a client would track itself is refused, not published")
    func track() throws {
        var codec = Objects(aliasesSupabase: true)
        _ = try codec.decode(Array(Self.join.utf8))
        let track =
            #"{"topic":"realtime:room:lobby","event":"presence","payload":{"event":"track","payload":{}},"ref":"2","join_ref":"1"}"#
        #expect(
            try codec.decode(Array(track.utf8))
                == [.malformed(reason: "presence is what the token says; it cannot be tracked", 2)])
    }

    @Test(
        "what no client sends is refused",
        arguments: ["", "[]", "5", "{", "{}", #"{"topic":"a"}"#, #"{"topic":1,"event":"x"}"#, "\u{0}"])
    func hostile(_ frame: String) {
        var codec = Objects()
        #expect(throws: WireError.self) { try codec.decode(Array(frame.utf8)) }
    }
}
