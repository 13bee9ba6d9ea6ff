import Events
import GatewayWire
import JSON
import Testing

@Suite struct CentrifugeJSONTests {
    /// A frame as a client of the protocol sends it, and what it means.
    struct Fixture: Sendable, CustomTestStringConvertible {
        let frame: String
        let commands: [ClientCommand]
        var testDescription: String { frame }
    }

    static let fixtures: [Fixture] = [
        Fixture(
            frame: #"{"id":1,"connect":{"token":"abc","name":"js"}}"#,
            commands: [.connect(ConnectCommand(token: "abc", name: "js"), 1)]),
        Fixture(
            frame: #"{"connect":{"subs":{"user:42":{"recover":true,"epoch":"e","offset":7}}},"id":2}"#,
            commands: [
                .connect(
                    ConnectCommand(subscriptions: [
                        SubscribeCommand(channel: "user:42", recoverFrom: StreamPosition(epoch: "e", offset: 7))
                    ]), 2)
            ]),
        Fixture(
            frame: #"{"id":3,"subscribe":{"channel":"room:lobby","join_leave":true}}"#,
            commands: [.subscribe(SubscribeCommand(channel: "room:lobby", wantsJoinLeave: true), 3)]),
        Fixture(
            frame: #"{"id":4,"subscribe":{"channel":"c","recover":true,"epoch":"x"}}"#,
            commands: [
                .subscribe(SubscribeCommand(channel: "c", recoverFrom: StreamPosition(epoch: "x", offset: 0)), 4)
            ]),
        Fixture(frame: #"{"id":5,"unsubscribe":{"channel":"c"}}"#, commands: [.unsubscribe(channel: "c", 5)]),
        Fixture(
            frame: #"{"id":6,"publish":{"channel":"c","data":{"a":[1,null]}}}"#,
            commands: [.publish(PublishCommand(channel: "c", payload: Array(#"{"a":[1,null]}"#.utf8)), 6)]),
        Fixture(
            frame: #"{"id":6,"publish":{"channel":"c","data":1,"idempotency_key":"k"}}"#,
            commands: [.publish(PublishCommand(channel: "c", payload: Array("1".utf8), messageID: "k"), 6)]),
        Fixture(
            frame: #"{"id":13,"subscribe":{"channel":"c","token":"t","data":{"a":1}}}"#,
            commands: [.subscribe(SubscribeCommand(channel: "c", data: Array(#"{"a":1}"#.utf8), token: "t"), 13)]),
        Fixture(
            frame: #"{"id":14,"subscribe":{"channel":"c","token":"","positioned":true,"recoverable":true}}"#,
            commands: [.subscribe(SubscribeCommand(channel: "c"), 14)]),
        Fixture(
            frame: #"{"id":15,"sub_refresh":{"channel":"c","token":"t"}}"#,
            commands: [.subscriptionRefresh(channel: "c", token: "t", 15)]),
        Fixture(
            frame:
                #"{"id":16,"connect":{"headers":{"Traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}}"#,
            commands: [
                .connect(
                    ConnectCommand(
                        trace: TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")), 16)
            ]),
        Fixture(
            frame: #"{"id":17,"connect":{"data":{"a":1},"version":"1.0","headers":[],"subs":{}}}"#,
            commands: [.connect(ConnectCommand(), 17)]),
        Fixture(
            frame: #"{"id":18,"presence_stats":{"channel":"c"}}"# + "\n"
                + #"{"id":18,"presence_stats":{"channel":"c"}}"#,
            commands: [.presenceStatistics(channel: "c", 18), .presenceStatistics(channel: "c", 18)]),
        Fixture(
            frame: #"{"id":7,"rpc":{"method":"a.b","data":{}}}"#,
            commands: [.call(method: "a.b", parameters: Array("{}".utf8), 7)]),
        Fixture(frame: #"{"send":{"data":1}}"#, commands: [.send(payload: Array("1".utf8))]),
        Fixture(frame: #"{"id":8,"presence":{"channel":"c"}}"#, commands: [.presence(channel: "c", 8)]),
        Fixture(
            frame: #"{"id":9,"history":{"channel":"c","limit":5,"reverse":true,"since":{"offset":3,"epoch":"e"}}}"#,
            commands: [
                .history(
                    HistoryCommand(
                        channel: "c", limit: 5, since: StreamPosition(epoch: "e", offset: 3), isReversed: true), 9)
            ]),
        Fixture(frame: #"{"id":10,"refresh":{"token":"t"}}"#, commands: [.refresh(token: "t", 10)]),
        Fixture(frame: "{}", commands: [.pong]),
        Fixture(
            frame: "{}\n\n{\"id\":1,\"ping\":{}}\r\n{\"id\":2,\"what\":{}}\n",
            commands: [.pong, .ping(1), .unknown(name: "what", 2)]),
        Fixture(
            frame: #"{"id":11,"subscribe":{}}"#,
            commands: [.malformed(reason: "subscribe without a channel", 11)]),
        Fixture(
            frame: #"{"subscribe":{"channel":"c"}}"#, commands: [.malformed(reason: "a command without an id", 0)]),
        Fixture(frame: #"{"id":-1,"ping":{}}"#, commands: [.malformed(reason: "a command without an id", 0)]),
        Fixture(frame: #"{"id":12,"publish":7}"#, commands: [.malformed(reason: "publish is not an object", 12)]),
    ]

    /// What nobody means to send, and how it has always been read.
    static let oddities: [Fixture] = [
        Fixture(frame: #"{"\u0069d":1,"p\u0069ng":{}}"#, commands: [.ping(1)]),
        Fixture(frame: #"{"id":1,"id":2,"ping":{}}"#, commands: [.ping(2)]),
        Fixture(frame: #"{"id":1.0e0,"ping":null}"#, commands: [.ping(1)]),
        Fixture(
            frame: #"{"id":1,"subscribe":{"channel":"a","channel":"b","token":"t","token":null},"x":{}}"#,
            commands: [.subscribe(SubscribeCommand(channel: "b"), 1)]),
        Fixture(
            frame: #"{"id":1,"subscribe":{"channel":"a","token":"t"},"presence":{},"subscribe":{"channel":"b"}}"#,
            commands: [.subscribe(SubscribeCommand(channel: "b"), 1)]),
        Fixture(
            frame: #"{"id":1,"subscribe":{"channel":"a"},"subscribe":7}"#,
            commands: [.malformed(reason: "subscribe is not an object", 1)]),
        Fixture(
            frame: #"{"id":1,"subscribe":{"channel":"a","channel":7}}"#,
            commands: [.malformed(reason: "subscribe without a channel", 1)]),
        Fixture(
            frame:
                #"{"id":1,"connect":{"subs":{"a":{"token":"t","subs":{"b":{}}},"c":null,"a":{"recover":true,"offset":2.0}}}}"#,
            commands: [
                .connect(
                    ConnectCommand(subscriptions: [
                        SubscribeCommand(channel: "a", recoverFrom: StreamPosition(epoch: "", offset: 2)),
                        SubscribeCommand(channel: "c"),
                    ]), 1)
            ]),
        Fixture(
            frame: #"{"id":1,"history":{"channel":"c","since":{"offset":-1,"epoch":7},"limit":1.5,"reverse":"yes"}}"#,
            commands: [.history(HistoryCommand(channel: "c", since: StreamPosition(epoch: "", offset: 0)), 1)]),
        Fixture(frame: #"{"id":1}"#, commands: [.malformed(reason: "a command without a method", 1)]),
        Fixture(frame: #"{"id":4294967296,"ping":{}}"#, commands: [.malformed(reason: "a command without an id", 0)]),
    ]

    @Test("payloads arrive as they were sent: numbers, order, escapes and spaces")
    func payloads() throws {
        let data = #"{"b":1.0, "a" : [1e2,-0],"b":"\u0041\/"}"#
        var codec = CentrifugeJSON()
        let frame =
            #"{"id":1,"publish":{"channel":"c","data":  \#(data) }}"# + "\n"
            + #"{"id":2,"rpc":{"data":\#(data),"method":"m"}}"# + "\n" + #"{"send":{"data":\#(data)}}"# + "\n"
            + #"{"id":3,"subscribe":{"channel":"c","data":\#(data)}}"# + "\n" + #"{"id":4,"publish":{"channel":"c"}}"#
        let bytes = Array(data.utf8)
        #expect(
            try codec.decode(Array(frame.utf8)) == [
                .publish(PublishCommand(channel: "c", payload: bytes), 1), .call(method: "m", parameters: bytes, 2),
                .send(payload: bytes), .subscribe(SubscribeCommand(channel: "c", data: bytes), 3),
                .publish(PublishCommand(channel: "c", payload: Array("null".utf8)), 4),
            ])
    }

    @Test("a payload has no line breaks, which may stand between its tokens only")
    func lineBreaks() throws {
        var codec = CentrifugeJSON()
        #expect(
            try codec.decode(Array("{\"id\":1,\"publish\":{\"channel\":\"c\",\"data\":[1,\r2]}}".utf8))
                == [.publish(PublishCommand(channel: "c", payload: Array("[1, 2]".utf8)), 1)])
        #expect(throws: WireError.self) { try codec.decode(Array("{\"id\":1,\n\"ping\":{}}".utf8)) }
    }

    @Test(
        "what a payload cannot be is an error, however deep",
        arguments: [
            "1e999", "9223372036854775808", #"{"a\u0000":1}"#, #""\ud800""#, "[1,]", "tru", "\"\u{1}\"",
            String(repeating: "[", count: 127) + String(repeating: "]", count: 127),
        ])
    func refusesPayload(_ data: String) {
        var codec = CentrifugeJSON()
        #expect(throws: WireError.self) {
            try codec.decode(Array(#"{"id":1,"publish":{"channel":"c","data":\#(data)}}"#.utf8))
        }
    }

    @Test("frames of clients are understood", arguments: fixtures + oddities)
    func decodes(_ fixture: Fixture) throws {
        var codec = CentrifugeJSON()
        #expect(try codec.decode(Array(fixture.frame.utf8)) == fixture.commands)
    }

    @Test("every beginning of a frame is a command, a complaint or an error, never a trap", arguments: fixtures)
    func prefixes(_ fixture: Fixture) {
        let bytes = Array(fixture.frame.utf8)
        for length in 0..<bytes.count {
            var codec = CentrifugeJSON()
            _ = try? codec.decode(Array(bytes[..<length]))
        }
    }

    @Test(
        "what no client can send is an error",
        arguments: ["", "\n", "nonsense", "[]", "1", "{\"id\":1,", "\u{0}", "{\"id\":1,\"ping\":{}}}"])
    func refuses(_ frame: String) {
        var codec = CentrifugeJSON()
        #expect(throws: WireError.self) { try codec.decode(Array(frame.utf8)) }
    }

    @Test("a frame may hold only so many commands")
    func boundsCommands() {
        var codec = CentrifugeJSON()
        let frame = Array(String(repeating: "{}\n", count: CentrifugeJSON.maximumCommandsPerFrame + 1).utf8)
        #expect(throws: WireError.self) { try codec.decode(frame) }
    }

    @Test("the token of the address stands in for one that the connect lacks, and for no other")
    func addressToken() throws {
        var codec = CentrifugeJSON(tokenOfAddress: "of-address")
        let without = try codec.decode(Array(#"{"id":1,"connect":{}}"#.utf8))
        #expect(without == [.connect(ConnectCommand(token: "of-address"), 1)])
        let with = try codec.decode(Array(#"{"id":1,"connect":{"token":"own"}}"#.utf8))
        #expect(with == [.connect(ConnectCommand(token: "own"), 1)])
    }

    // MARK: Encoding

    private func encoded(_ message: ServerMessage) throws -> JSONValue {
        var codec = CentrifugeJSON()
        let bytes = codec.encode(message)
        return try JSONValue(parsing: try #require(bytes))
    }

    @Test("a connect's answer names client, ping and the server's subscriptions")
    func connected() throws {
        let result = ConnectResult(
            client: "c1", version: "v", expiry: .after(seconds: 60), pingInterval: 25,
            subscriptions: [
                "user:42": SubscribeResult(position: StreamPosition(epoch: "e", offset: 9), recovery: .recovered)
            ])
        #expect(
            try encoded(.connected(result, 1)) == [
                "id": 1,
                "connect": [
                    "client": "c1", "version": "v", "expires": true, "ttl": 60, "ping": 25, "pong": true,
                    "subs": [
                        "user:42": [
                            "recoverable": true, "positioned": true, "epoch": "e", "offset": 9, "recovered": true,
                            "was_recovering": true,
                        ]
                    ],
                ],
            ])
    }

    @Test("a failed recovery says that there was one, and that it did not succeed")
    func failedRecovery() throws {
        let result = SubscribeResult(position: StreamPosition(epoch: "e", offset: 9), recovery: .failed)
        let reply = try encoded(.subscribed(channel: "c", result, 3))
        #expect(reply["subscribe"]?["was_recovering"] == true)
        #expect(reply["subscribe"]?["recovered"] == nil)
    }

    @Test("a publication carries data as it came, its offset, its event and its publisher")
    func publication() throws {
        let publication = Publication(
            payload: Array(#"{"n":1e3}"#.utf8), event: "notification", offset: 5,
            publisher: ClientInfo(client: "c", user: "u"))
        let bytes = CentrifugeJSON.encodeBroadcast(publication, label: "room:\"x\"")
        #expect(String(decoding: bytes, as: UTF8.self).contains(#""data":{"n":1e3}"#))
        #expect(
            try JSONValue(parsing: bytes) == [
                "push": [
                    "channel": "room:\"x\"",
                    "pub": [
                        "data": ["n": 1000], "offset": 5, "tags": ["event": "notification"],
                        "info": ["user": "u", "client": "c"],
                    ],
                ]
            ])
    }

    @Test("changes of presence are one frame, a line each, in their order")
    func presenceChanges() throws {
        let lobby = try ChannelName("room:lobby")
        let ann = ClientInfo(client: "a", user: "42", info: ["name": "Zoë\n"])
        let bytes = try #require(
            CentrifugeJSON.encodePresence(
                [
                    PresenceChange(.joined, lobby, ann),
                    PresenceChange(.left, lobby, ClientInfo(client: "b", user: "7")),
                ],
                label: "room:lobby"))
        let lines = try bytes.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: $0) }
        #expect(
            lines == [
                [
                    "push": [
                        "channel": "room:lobby",
                        "join": ["info": ["user": "42", "client": "a", "conn_info": ["name": "Zoë\n"]]],
                    ]
                ],
                ["push": ["channel": "room:lobby", "leave": ["info": ["user": "7", "client": "b"]]]],
            ])
    }

    @Test("a subscription's data and its token's end are told")
    func subscribeData() throws {
        let result = SubscribeResult(data: Array(#"{"a":[1]}"#.utf8), expiresIn: 60)
        #expect(
            try encoded(.subscribed(channel: "c", result, 3)) == [
                "id": 3, "subscribe": ["expires": true, "ttl": 60, "data": ["a": [1]]],
            ])
        #expect(
            try encoded(.subscriptionRefreshed(.after(seconds: 5), 4))
                == ["id": 4, "sub_refresh": ["expires": true, "ttl": 5]])
        #expect(try encoded(.subscriptionRefreshed(.never, 4)) == ["id": 4, "sub_refresh": [:]])
    }

    @Test("what a backend does to a connection is pushed to it")
    func pushes() throws {
        #expect(
            try encoded(.refreshedByServer(.after(seconds: 5)))
                == ["push": ["refresh": ["expires": true, "ttl": 5]]])
        #expect(
            try encoded(.unsubscribedByServer(channel: "c", .expired))
                == ["push": ["channel": "c", "unsubscribe": ["code": 2501, "reason": "subscription expired"]]])
        #expect(
            try encoded(.subscribedByServer(channel: "c", SubscribeResult(data: Array("1".utf8))))
                == ["push": ["channel": "c", "subscribe": ["data": 1]]])
        #expect(try encoded(.published(3, reply: Array("1".utf8))) == ["id": 3, "publish": [:]])
    }

    @Test("a publication carries what a backend attached to it")
    func tags() throws {
        let publication = Publication(payload: Array("1".utf8), event: "said", tags: ["color": "red", "event": "x"])
        #expect(
            try JSONValue(parsing: CentrifugeJSON.encodeBroadcast(publication, label: "c"))
                == ["push": ["channel": "c", "pub": ["data": 1, "tags": ["color": "red", "event": "said"]]]])
    }

    @Test("errors carry code, message and whether trying again may help")
    func failure() throws {
        #expect(
            try encoded(.failure(.unavailable("away"), 4)) == [
                "id": 4, "error": ["code": 108, "message": "away", "temporary": true],
            ])
        #expect(try encoded(.failure(.permissionDenied, 4))["error"]?["temporary"] == nil)
    }

    @Test("the numbers that clients act on do not change")
    func codes() {
        #expect(Disconnect.shutdown.code == 3001)
        #expect(Disconnect.slow.code == 3008)
        #expect(Disconnect.insufficientState.code == 3010)
        #expect(Disconnect.noPong.code == 3012)
        #expect(Disconnect.invalidToken.code == 3500)
        #expect(Disconnect.badRequest.code == 3501)
        #expect(UnsubscribeReason.insufficientState.code == 2500)
        #expect(ClientFailure.permissionDenied.code == 103)
        #expect(ClientFailure.tokenExpired.code == 109)
    }
}
