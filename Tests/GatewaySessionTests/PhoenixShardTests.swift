import EventBus
import Events
import GatewayWire
import JSON
import Testing

@testable import GatewaySession

/// Phoenix clients on shards with a bus in memory: what they send in, what they are sent back.
@Suite(.timeLimit(.minutes(1))) struct PhoenixShardTests {
    /// A Phoenix client, version 2, of a user.
    private final class Client: Sendable {
        let transport = RecordingTransport()
        let shard: Shard
        let id: ConnectionID

        init(_ fixture: ShardFixture, token: String?) async {
            shard = fixture.shard
            id = await shard.open(
                .phoenix, codec: Phoenix<PhoenixArrays>(), manner: .handshake, transport: transport)
            await shard.openAddress(id, token: token, channels: [], cursor: nil)
        }

        func send(_ frame: String) async { await shard.receive(Array(frame.utf8), from: id) }

        func join(_ topic: String, _ reference: Int, _ payload: String = "{}") async -> String {
            await send(#"["\#(reference)","\#(reference)","\#(topic)","phx_join",\#(payload)]"#)
            return await transport.frame {
                $0.hasPrefix(#"["\#(reference)","\#(reference)","\#(topic)","phx_reply""#)
            }
        }
    }

    private let bus = MemoryBus()
    private let room = "room:lobby"

    private func publish(_ payload: String, _ event: String? = nil, on subject: String) throws {
        var message = BusMessage(subject: subject, payload: Array(payload.utf8))
        message.headers[HeaderName.event] = event
        try bus.publish(message)
    }

    @Test("the handshake is answered when the token is good, and refused when it is not or is missing")
    func handshake() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        let good = await Client(fixture, token: "user-42")
        #expect(good.transport.isStarted)
        for token in [nil, "forged"] as [String?] {
            let bad = await Client(fixture, token: token)
            #expect(!bad.transport.isStarted)
            #expect(bad.transport.closed != nil)
        }
    }

    @Test("a message from the bus comes under its event's name, one's own push comes back to oneself")
    func messages() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            #expect(await ann.join(room, 1) == #"["1","1","room:lobby","phx_reply",{"status":"ok","response":{}}]"#)
            try await bus.append(
                BusMessage(
                    subject: "apus.channel.room.lobby", headers: [HeaderName.event: "news"],
                    payload: Array(#"{"n":1}"#.utf8)))
            await ann.transport.frame(#"[null,null,"room:lobby","news",{"n":1}]"#)
            await ann.send(#"["1","2","room:lobby","shout",{"text":"hi"}]"#)
            await ann.transport.frame(#"[null,null,"room:lobby","shout",{"text":"hi"}]"#)
            await ann.transport.frame(#"["1","2","room:lobby","phx_reply",{"status":"ok","response":{}}]"#)
        }
    }

    @Test("what is pushed before the join is answered waits for it")
    func pushesEarly() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            await ann.send(#"["1","1","quiet:x","phx_join",{}]"#)
            await ann.send(#"["1","2","quiet:x","shout",{"n":1}]"#)
            await ann.transport.frame(#"[null,null,"quiet:x","shout",{"n":1}]"#)
            await ann.transport.frame(#"["1","2","quiet:x","phx_reply",{"status":"ok","response":{}}]"#)
            // One whose join is refused is refused too.
            await ann.send(#"["3","3","asked:x","phx_join",{}]"#)
            await ann.send(#"["3","4","asked:x","shout",{"n":1}]"#)
            let refused = await ann.transport.frame { $0.hasPrefix(#"["3","4","asked:x","phx_reply""#) }
            #expect(refused.contains(#""status":"error""#))
        }
    }

    @Test("joining again ends the earlier join, and messages come once")
    func joinsAgain() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            _ = await ann.join("quiet:x", 1)
            _ = await ann.join("quiet:x", 5)
            #expect(ann.transport.frames.contains(#"["1","1","quiet:x","phx_close",{}]"#))
            try publish(#"{"n":1}"#, on: "apus.channel.quiet.x")
            try publish(#"{"n":2}"#, on: "apus.channel.quiet.x")
            await ann.transport.frame(#"[null,null,"quiet:x","message",{"n":2}]"#)
            #expect(ann.transport.frames.count { $0.contains(#"{"n":1}"#) } == 1)
            await ann.send(#"["5","6","quiet:x","phx_leave",{}]"#)
            await ann.transport.frame(#"["5","5","quiet:x","phx_close",{}]"#)
        }
    }

    @Test("presence is the same through every gateway, and changes follow")
    func presence() async throws {
        let first = ShardFixture(node: "a", bus: bus)
        let second = ShardFixture(node: "b", bus: bus)
        let ids = (ann: "\(ShardFixture.clientID("a", 1))", bob: "\(ShardFixture.clientID("b", 3))")
        try await ShardFixture.run([first, second], bus) {
            let ann = await Client(first, token: "user-ann")
            _ = await ann.join(room, 1)
            let alone = await ann.transport.frame { $0.hasPrefix(#"["1",null,"room:lobby","presence_state""#) }
            let state = try JSONValue(parsing: Array(alone.utf8))
            #expect(
                state
                    == [
                        "1", nil, "room:lobby", "presence_state",
                        ["ann": ["metas": [["name": "user-ann", "phx_ref": .string(ids.ann)]]]],
                    ])
            // The other gateway has heard of ann when somebody there has: at the start, or by a change.
            let eve = await Client(second, token: "user-eve")
            _ = await eve.join(room, 1)
            _ = await eve.transport.frame { $0.contains(ids.ann) }
            let bob = await Client(second, token: "user-bob")
            _ = await bob.join(room, 1)
            let joined = await ann.transport.frame { $0.contains("presence_diff") && $0.contains("bob") }
            // Others may have come in the same batch.
            let change = try JSONValue(parsing: Array(joined.utf8)).arrayValue ?? []
            #expect(change.prefix(4) == [nil, nil, "room:lobby", "presence_diff"])
            #expect(change.last?["joins"]?["bob"] == ["metas": [["name": "user-bob", "phx_ref": .string(ids.bob)]]])
            #expect(change.last?["leaves"] == [:])
            let both = await bob.transport.frame { $0.hasPrefix(#"["1",null,"room:lobby","presence_state""#) }
            #expect(both.contains(ids.ann) && both.contains(ids.bob))
        }
    }

    @Test("a topic whose messages are lost for good gets an error, so that its client joins again")
    func interrupted() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            _ = await ann.join(room, 1)
            let channel = try ChannelName(room)
            await fixture.shard.interrupt(channel, generation: 1)
            await ann.transport.frame(#"["1","1","room:lobby","phx_error",{}]"#)
            #expect(await ann.join(room, 2).contains(#""status":"ok""#))
        }
    }

    @Test("a join goes on where an earlier one was, with what was missed behind its answer")
    func recovers() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            let first = try JSONValue(parsing: Array(await ann.join(room, 1, #"{"recover":true}"#).utf8))
            let position = try #require(first.arrayValue?[4]["response"]?["position"])
            await ann.send(#"["1","2","room:lobby","phx_leave",{}]"#)
            await ann.transport.frame(#"["1","1","room:lobby","phx_close",{}]"#)
            try await bus.append(BusMessage(subject: "apus.channel.room.lobby", payload: Array("7".utf8)))
            let again = await ann.join(room, 3, #"{"recover":\#(position)}"#)
            #expect(again.contains(#""recovered":true"#))
            await ann.transport.frame(#"[null,null,"room:lobby","message",7]"#)
            #expect(ann.transport.frames.count { $0 == #"[null,null,"room:lobby","message",7]"# } == 1)
        }
    }

    @Test("a call's result is the answer to its push, and so is what a hook replies")
    func replies() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        let bus = bus
        let answers = [
            "apus.rpc.add": #"{"result":{"sum":3}}"#,
            "apus.hook.asked.subscribe": #"{"result":{"data":{"latest":[1]}}}"#,
            "apus.hook.asked.publish": #"{"result":{"publish":false,"reply":{"id":7}}}"#,
        ]
        let services = try answers.map { subject, answer in
            try bus.subscribe(subject, queue: nil) { message in
                try? bus.publish(BusMessage(subject: message.replyTo ?? "nobody", payload: Array(answer.utf8)))
            }
        }
        defer { for service in services { service.cancel() } }
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            #expect(
                await ann.join("asked:x", 1)
                    == #"["1","1","asked:x","phx_reply",{"status":"ok","response":{"latest":[1]}}]"#)
            await ann.send(#"["1","2","asked:x","rpc:add",{"a":1,"b":2}]"#)
            await ann.transport.frame(#"["1","2","asked:x","phx_reply",{"status":"ok","response":{"sum":3}}]"#)
            await ann.send(#"["1","3","asked:x","new",{}]"#)
            await ann.transport.frame(#"["1","3","asked:x","phx_reply",{"status":"ok","response":{"id":7}}]"#)
            await ann.send(#"["1","4","asked:x","rpc:nobody.here",{}]"#)
            let nobody = await ann.transport.frame { $0.hasPrefix(#"["1","4","asked:x","phx_reply""#) }
            #expect(nobody.contains(#""status":"error""#) && nobody.contains("no service answers nobody.here"))
        }
    }

    @Test("a token in a join says who an anonymous client is; another user's later is refused")
    func adoptsToken() async throws {
        let fixture = ShardFixture(node: "a", bus: bus, allowsAnonymous: true)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: nil)
            #expect(await ann.join("quiet:x", 1).contains("permission denied"))
            #expect(await ann.join("quiet:x", 2, #"{"access_token":"forged"}"#).contains("unauthorized"))
            #expect(await ann.join("quiet:x", 3, #"{"access_token":"user-1"}"#).contains(#""status":"ok""#))
            #expect(await ann.join("quiet:y", 4).contains(#""status":"ok""#))
            #expect(await ann.join("quiet:z", 5, #"{"access_token":"user-2"}"#).contains("permission denied"))
            await ann.send(#"["4","6","quiet:y","access_token",{"access_token":"user-1"}]"#)
            await ann.transport.frame(#"["4","6","quiet:y","phx_reply",{"status":"ok","response":{}}]"#)
        }
    }

    @Test("frames that no client sends end the connection, and nothing else")
    func hostile() async throws {
        let fixture = ShardFixture(node: "a", bus: bus)
        try await ShardFixture.run([fixture], bus) {
            let ann = await Client(fixture, token: "user-1")
            let bob = await Client(fixture, token: "user-2")
            await ann.send("[1,2")
            #expect(ann.transport.closed?.code == 1008)
            #expect(await bob.join("quiet:x", 1).contains(#""status":"ok""#))
            // Names that would reach other subjects are no channels.
            for topic in ["quiet:>", "quiet:*", "quiet:a..b", "Quiet:a", "quiet:", "phoenix"] {
                let answer = await bob.join(topic, topic.count + 10)
                #expect(answer.contains("unmatched topic") || answer.contains(#""status":"ok""#), "\(topic)")
            }
        }
    }
}

extension Shard {
    /// As the hub does.
    fileprivate func interrupt(_ name: ChannelName, generation: UInt32) {
        channels[name]?.receive(.interrupted(generation: generation))
    }
}
