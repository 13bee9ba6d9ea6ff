import Events
import GatewayWire
import JSON
import Testing

/// Frames as phoenix.js 1.8 (version 2) and Supabase's `realtime` for Python 2.34 (version 1) write and read them.
@Suite struct PhoenixTests {
    typealias Arrays = Phoenix<PhoenixArrays>
    typealias Objects = Phoenix<PhoenixObjects>

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A codec that has joined `room:lobby` as its first command, with join reference 1.
    private func joined() throws -> Arrays {
        var codec = Arrays()
        _ = try codec.decode(Array(#"["1","1","room:lobby","phx_join",{}]"#.utf8))
        _ = codec.encodeFrames(.subscribed(channel: "room:lobby", SubscribeResult(), 1))
        return codec
    }

    private func send(_ frame: String, _ codec: inout Arrays) throws -> [ClientCommand] {
        try codec.decode(Array(frame.utf8))
    }

    private func answer(_ message: ServerMessage, _ codec: inout Arrays) -> [String] {
        codec.encodeFrames(message).map(PhoenixTests.text)
    }

    // MARK: Joining and leaving

    @Test("a join asks for presence, and is answered with both its references")
    func join() throws {
        var codec = Arrays()
        #expect(
            try send(#"["3","4","room:lobby","phx_join",{}]"#, &codec)
                == [.subscribe(SubscribeCommand(channel: "room:lobby", wantsPresence: true), 1)])
        #expect(
            answer(.subscribed(channel: "room:lobby", SubscribeResult(), 1), &codec)
                == [#"["3","4","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
        #expect(answer(.subscribed(channel: "room:lobby", SubscribeResult(), 1), &codec) == [])
    }

    @Test("what a join sends along goes to whoever decides about it, but for the token")
    func joinData() throws {
        var codec = Arrays()
        let frame = #"["1","1","room:lobby","phx_join",{"access_token":"abc","nick":"Ann"}]"#
        #expect(
            try send(frame, &codec)
                == [
                    .subscribe(
                        SubscribeCommand(
                            channel: "room:lobby", wantsPresence: true, data: Array(#"{"nick":"Ann"}"#.utf8),
                            connectionToken: "abc"), 1)
                ])
        let result = SubscribeResult(data: Array(#"{"latest":[1,2]}"#.utf8))
        #expect(
            answer(.subscribed(channel: "room:lobby", result, 1), &codec)
                == [#"["1","1","room:lobby","phx_reply",{"status":"ok","response":{"latest":[1,2]}}]"#])
    }

    @Test("a join that asks where it is gets its position, and what it missed behind the answer")
    func recovers() throws {
        var codec = Arrays()
        let frame = #"["1","1","room:lobby","phx_join",{"recover":{"epoch":"e","offset":5}}]"#
        guard case .subscribe(let command, 1)? = try send(frame, &codec).first else {
            Issue.record("a join is no subscription")
            return
        }
        #expect(command.recoverFrom == StreamPosition(epoch: "e", offset: 5))
        let result = SubscribeResult(
            position: StreamPosition(epoch: "e", offset: 6), recovery: .recovered,
            publications: [Publication(payload: Array(#"{"a":1}"#.utf8), event: "shout", offset: 6)])
        let position = #"{"position":{"epoch":"e","offset":6},"recovered":true}"#
        #expect(
            answer(.subscribed(channel: "room:lobby", result, 1), &codec)
                == [
                    #"["1","1","room:lobby","phx_reply",{"status":"ok","response":\#(position)}]"#,
                    #"[null,null,"room:lobby","shout",{"a":1}]"#,
                ])
    }

    @Test("a join that does not ask is answered as Phoenix answers it, also on channels with history")
    func doesNotAsk() throws {
        var codec = Arrays()
        _ = try send(#"["1","1","room:lobby","phx_join",{"recover":null}]"#, &codec)
        let result = SubscribeResult(position: StreamPosition(epoch: "e", offset: 6))
        #expect(
            answer(.subscribed(channel: "room:lobby", result, 1), &codec)
                == [#"["1","1","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
    }

    @Test("a topic that is none is unmatched; other refusals say why")
    func refusals() throws {
        var codec = Arrays()
        _ = try send(#"["1","1","nowhere:x","phx_join",{}]"#, &codec)
        #expect(
            answer(.failure(.unknownChannel, 1), &codec)
                == [#"["1","1","nowhere:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#])
        _ = try send(#"["2","2","admin:x","phx_join",{}]"#, &codec)
        #expect(
            answer(.failure(.permissionDenied, 2), &codec)
                == [#"["2","2","admin:x","phx_reply",{"status":"error","response":{"reason":"permission denied"}}]"#])
        _ = try send(#"["3","3","task:x","phx_join",{}]"#, &codec)
        #expect(
            answer(.failure(ClientFailure(code: 403, message: "not yours"), 3), &codec)
                == [#"["3","3","task:x","phx_reply",{"status":"error","response":{"reason":"not yours","code":403}}]"#])
        _ = try send(#"["4","4","room:x","phx_join",{}]"#, &codec)
        let wait = #"{"reason":"too many requests","retry_after":3}"#
        #expect(
            answer(.failure(.tooManyRequests(retryAfterSeconds: 3), 4), &codec)
                == [#"["4","4","room:x","phx_reply",{"status":"error","response":\#(wait)}]"#])
        // Nothing of them is left: a push finds no topic.
        #expect(
            try send(#"["3","5","task:x","shout",{}]"#, &codec)
                == [.malformed(reason: "unmatched topic", 5)])
    }

    @Test("leaving is answered and then closes the topic")
    func leave() throws {
        var codec = try joined()
        #expect(
            try send(#"["1","2","room:lobby","phx_leave",{}]"#, &codec) == [.unsubscribe(channel: "room:lobby", 2)])
        #expect(
            answer(.unsubscribed(channel: "room:lobby", 2), &codec)
                == [
                    #"["1","2","room:lobby","phx_reply",{"status":"ok","response":{}}]"#,
                    #"["1","1","room:lobby","phx_close",{}]"#,
                ])
        // Leaving what is not joined is nothing to do.
        #expect(try send(#"["1","3","room:lobby","phx_leave",{}]"#, &codec) == [.ping(3)])
        #expect(
            answer(.pong(3), &codec) == [#"["1","3","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
    }

    @Test("a leave of an earlier join leaves the present one alone")
    func staleLeave() throws {
        var codec = try joined()
        #expect(try send(#"["0","2","room:lobby","phx_leave",{}]"#, &codec) == [])
        #expect(
            try send(#"[null,"3","room:lobby","phx_leave",{}]"#, &codec) == [.unsubscribe(channel: "room:lobby", 2)])
    }

    @Test("joining again closes the earlier join with its reference, then joins")
    func joinAgain() throws {
        var codec = try joined()
        #expect(
            try send(#"["7","7","room:lobby","phx_join",{}]"#, &codec)
                == [.subscribe(SubscribeCommand(channel: "room:lobby", wantsPresence: true, replacing: 3), 2)])
        #expect(
            answer(.unsubscribed(channel: "room:lobby", 3), &codec)
                == [#"["1","1","room:lobby","phx_close",{}]"#])
        #expect(
            answer(.subscribed(channel: "room:lobby", SubscribeResult(), 2), &codec)
                == [#"["7","7","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
        #expect(
            answer(.members(channel: "room:lobby", []), &codec)
                == [#"["7",null,"room:lobby","presence_state",{}]"#])
    }

    @Test("joining again that is refused before the earlier join has ended leaves that one joined")
    func joinAgainRefused() throws {
        var codec = try joined()
        _ = try send(#"["7","7","room:lobby","phx_join",{}]"#, &codec)
        _ = answer(.failure(.tooManyRequests(retryAfterSeconds: 1), 2), &codec)
        #expect(
            answer(.members(channel: "room:lobby", []), &codec)
                == [#"["1",null,"room:lobby","presence_state",{}]"#])
        // And one that is refused afterwards leaves nothing.
        _ = try send(#"["8","8","room:lobby","phx_join",{}]"#, &codec)
        _ = answer(.unsubscribed(channel: "room:lobby", 5), &codec)
        _ = answer(.failure(.permissionDenied, 4), &codec)
        #expect(
            try send(#"["1","9","room:lobby","shout",{}]"#, &codec) == [.malformed(reason: "unmatched topic", 6)])
    }

    @Test("the server ends a topic with an error if joining again may help, and closes it otherwise")
    func endedByServer() throws {
        var codec = try joined()
        #expect(
            answer(.unsubscribedByServer(channel: "room:lobby", .insufficientState), &codec)
                == [#"["1","1","room:lobby","phx_error",{}]"#])
        #expect(answer(.unsubscribedByServer(channel: "room:lobby", .insufficientState), &codec) == [])
        codec = try joined()
        #expect(
            answer(.unsubscribedByServer(channel: "room:lobby", .server), &codec)
                == [#"["1","1","room:lobby","phx_close",{}]"#])
    }

    // MARK: Pushing

    @Test("a push publishes its event, whatever JSON its payload is")
    func publishes() throws {
        var codec = try joined()
        for (number, payload) in [#"{"text":"hi"}"#, "null", "5", #""ü""#, "[1,[]]"].enumerated() {
            #expect(
                try send(#"["1","2","room:lobby","shout",\#(payload)]"#, &codec)
                    == [
                        .publish(
                            PublishCommand(channel: "room:lobby", payload: Array(payload.utf8), event: "shout"),
                            UInt32(number + 2))
                    ])
        }
        #expect(
            answer(.published(2), &codec) == [#"["1","2","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
        #expect(
            answer(.published(3, reply: Array(#"{"id":7}"#.utf8)), &codec)
                == [#"["1","2","room:lobby","phx_reply",{"status":"ok","response":{"id":7}}]"#])
    }

    @Test("an event rpc:… is a call; its result or error is the answer")
    func calls() throws {
        var codec = try joined()
        #expect(
            try send(#"["1","2","room:lobby","rpc:notifications.list",{"limit":5}]"#, &codec)
                == [.call(method: "notifications.list", parameters: Array(#"{"limit":5}"#.utf8), 2)])
        #expect(
            answer(.callResult(payload: Array(#"{"n":1}"#.utf8), 2), &codec)
                == [#"["1","2","room:lobby","phx_reply",{"status":"ok","response":{"n":1}}]"#])
    }

    @Test("without having joined nothing is pushed")
    func unmatched() throws {
        var codec = Arrays()
        #expect(
            try send(#"["1","2","room:lobby","shout",{}]"#, &codec) == [.malformed(reason: "unmatched topic", 1)])
        let reply = #"{"status":"error","response":{"reason":"unmatched topic"}}"#
        #expect(
            answer(.failure(.badRequest("unmatched topic"), 1), &codec)
                == [#"["1","2","room:lobby","phx_reply",\#(reply)]"#])
    }

    @Test(
        "events that are the protocol's own cannot be pushed: they would end other clients' topics",
        arguments: ["phx_close", "phx_error", "phx_reply", "presence_state", "presence_diff", "chan_reply_4"])
    func reserved(_ event: String) throws {
        var codec = try joined()
        guard case .malformed(_, 2)? = try send(#"["1","2","room:lobby","\#(event)",{}]"#, &codec).first else {
            Issue.record("\(event) was pushed")
            return
        }
    }

    @Test("a heartbeat is answered on its topic, with its reference as it came")
    func heartbeat() throws {
        var codec = Arrays()
        #expect(try send(#"[null,"7","phoenix","heartbeat",{}]"#, &codec) == [.ping(1)])
        #expect(answer(.pong(1), &codec) == [#"[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]"#])
        #expect(try send(#"[null,8,"phoenix","heartbeat",{}]"#, &codec) == [.ping(2)])
        #expect(answer(.pong(2), &codec) == [#"[null,8,"phoenix","phx_reply",{"status":"ok","response":{}}]"#])
    }

    @Test("a token comes by an event of its own")
    func accessToken() throws {
        var codec = try joined()
        #expect(
            try send(#"["1","2","room:lobby","access_token",{"access_token":"t"}]"#, &codec)
                == [.refresh(token: "t", 2)])
        #expect(
            answer(.refreshed(.never, 2), &codec)
                == [#"["1","2","room:lobby","phx_reply",{"status":"ok","response":{}}]"#])
        guard case .malformed(_, 3)? = try send(#"["1","3","room:lobby","access_token",{}]"#, &codec).first else {
            Issue.record("a token that is none was taken")
            return
        }
    }

    // MARK: Binary

    private func binary(
        _ join: String, _ reference: String, _ topic: String, _ event: String, _ data: [UInt8]
    ) -> [UInt8] {
        let texts = [join, reference, topic, event]
        return [0] + texts.map { UInt8($0.utf8.count) } + texts.flatMap(\.utf8) + data
    }

    @Test("a binary push with JSON publishes it; with anything else it is answered with an error")
    func binaryPush() throws {
        var codec = try joined()
        #expect(
            try codec.decode(binary("1", "2", "room:lobby", "shout", Array(#"{"a":1}"#.utf8)))
                == [
                    .publish(
                        PublishCommand(channel: "room:lobby", payload: Array(#"{"a":1}"#.utf8), event: "shout"), 2)
                ])
        #expect(
            try codec.decode(binary("1", "3", "room:lobby", "shout", [0xFF, 0x00]))
                == [.malformed(reason: "a binary payload must be JSON text", 3)])
        let reason = #"{"reason":"bad request: a binary payload must be JSON text"}"#
        #expect(
            answer(.failure(.badRequest("a binary payload must be JSON text"), 3), &codec)
                == [#"["1","3","room:lobby","phx_reply",{"status":"error","response":\#(reason)}]"#])
    }

    // MARK: For everybody

    @Test("a message to all carries no references")
    func broadcast() {
        let publication = Publication(payload: Array(#"{"text":"hi"}"#.utf8), event: "shout", offset: 5)
        #expect(
            PhoenixTests.text(Arrays.encodeBroadcast(publication, label: "room:\"lobby\""))
                == #"[null,null,"room:\"lobby\"","shout",{"text":"hi"}]"#)
        #expect(
            PhoenixTests.text(Objects.encodeBroadcast(publication, label: "room:lobby"))
                == #"{"topic":"room:lobby","event":"shout","payload":{"text":"hi"},"ref":null,"join_ref":null}"#)
    }

    private let ann = ClientInfo(client: "c1", user: "42", info: ["name": "Ann"])
    private let annAgain = ClientInfo(client: "c2", user: "42", info: ["name": "Ann"])
    private let somebody = ClientInfo(client: "c3", user: "")

    @Test("presence is by user, with a meta for each connection")
    func members() throws {
        var codec = try joined()
        let frames = codec.encodeFrames(.members(channel: "room:lobby", [ann, annAgain, somebody]))
        #expect(
            try JSONValue(parsing: #require(frames.first))
                == [
                    "1", nil, "room:lobby", "presence_state",
                    [
                        "42": ["metas": [["name": "Ann", "phx_ref": "c1"], ["name": "Ann", "phx_ref": "c2"]]],
                        "c3": ["metas": [["phx_ref": "c3"]]],
                    ],
                ])
    }

    @Test("of each connection the last change counts, since clients take in joins before leaves")
    func changes() throws {
        let room = try ChannelName("room:lobby")
        let frame = Arrays.encodePresence(
            [
                PresenceChange(.left, room, ann), PresenceChange(.joined, room, ann),
                PresenceChange(.joined, room, annAgain), PresenceChange(.joined, room, somebody),
                PresenceChange(.left, room, annAgain),
            ], label: "room:lobby")
        #expect(
            try JSONValue(parsing: #require(frame))
                == [
                    nil, nil, "room:lobby", "presence_diff",
                    [
                        "joins": [
                            "42": ["metas": [["name": "Ann", "phx_ref": "c1"]]], "c3": ["metas": [["phx_ref": "c3"]]],
                        ],
                        "leaves": ["42": ["metas": [["name": "Ann", "phx_ref": "c2"]]]],
                    ],
                ])
    }

    @Test("messages that were left out are told")
    func dropped() throws {
        var codec = try joined()
        #expect(
            answer(.dropped(channel: "room:lobby", count: 3), &codec)
                == [#"[null,null,"room:lobby","dropped",{"type":"dropped","channel":"room:lobby","count":3}]"#])
    }

    @Test("a client comes back after every close code but 1000")
    func closeCodes() {
        #expect(Arrays.closeCode(.shutdown).code == 1012)
        #expect(Arrays.closeCode(.messageTooBig).code == 1009)
        #expect(Arrays.closeCode(.badRequest).code == 1008)
        #expect(Arrays.closeCode(.forced).code == 1000)
        #expect(Arrays.closeCode(.permissionDenied).code == 1000)
        #expect(Arrays.closeCode(.expired).code == 3005)
        #expect(Arrays.closeCode(.slow).code == 3008)
        #expect(Arrays.closeCode(.noPong).code == 3012)
    }

    // MARK: Hostile frames

    static let hostile: [[UInt8]] =
        [
            "", " ", "x", "{}", "[]", "[1,2,3,4]", "[1,2,3,4,5,6]", #"["1","1",5,"phx_join",{}]"#,
            #"["1","1","room:a",null,{}]"#, #"[[],"1","room:a","phx_join",{}]"#, #"["1",1.5,"room:a","phx_join",{}]"#,
            #"["1","1","room:a","phx_join",{}]["#, #"["1","1","room:a","phx_join",{}"#,
            #"["1","\#(String(repeating: "9", count: 256))","phoenix","heartbeat",{}]"#,
        ].map { Array($0.utf8) } + [
            [0], [1, 0, 0, 0, 0], [2, 1, 1, 65, 66], [0, 255, 255, 255, 255], [0, 1, 0, 0, 0, 0xFF],
            [3, 0, 0, 0, 0, 0], Array(repeating: UInt8(ascii: "["), count: 4000),
        ]

    @Test("what no client sends is refused, and stops nothing", arguments: hostile)
    func hostileFrames(_ frame: [UInt8]) {
        var arrays = Arrays()
        #expect(throws: WireError.self) { try arrays.decode(frame) }
    }

    static let fixtures: [[UInt8]] =
        [
            #"["3","4","room:lobby","phx_join",{"recover":{"epoch":"e","offset":5}}]"#,
            #"["1","2","room:lobby","shout",{"text":"hi ü"}]"#, #"[null,"7","phoenix","heartbeat",{}]"#,
        ].map { Array($0.utf8) } + [
            [0, 1, 1, 10, 5] + Array("12room:lobbyshout{}".utf8)
        ]

    @Test("the beginning of a frame is refused or read, and never traps", arguments: fixtures)
    func prefixes(_ frame: [UInt8]) throws {
        for length in 0..<frame.count {
            var codec = try joined()
            _ = try? codec.decode(Array(frame[..<length]))
            var objects = Objects()
            _ = try? objects.decode(Array(frame[..<length]))
        }
        var codec = try joined()
        #expect(throws: Never.self) { try codec.decode(frame) }
    }
}
