import EventBus
import Events
import GatewayWire
import JSON
import TestKit
import Testing

@testable import GatewaySession

/// Joining a channel that the hub follows already, which happens within the call.
@Suite(.timeLimit(.minutes(1))) struct ShardJoinTests {
    private let bus = MemoryBus()
    private let fixture: ShardFixture

    init() {
        // Without the channels that users are on by themselves, so that a connect waits for nothing.
        let namespaces = NamespaceTable(
            configured: ShardFixture.namespaces.all + [Namespace(name: "user", subscribe: .nobody)])
        fixture = ShardFixture(node: "a", bus: bus, namespaces: namespaces)
    }

    private func connect(_ user: String) async -> (RecordingTransport, ConnectionID) {
        let transport = RecordingTransport()
        let id = await fixture.shard.open(
            .centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: transport)
        await send(#"{"id":1,"connect":{"token":"user-\#(user)"}}"#, id)
        _ = await transport.reply(1)
        return (transport, id)
    }

    private func send(_ text: String, _ id: ConnectionID) async {
        await fixture.shard.receive(Array(text.utf8), from: id)
    }

    private func publish(_ numbers: ClosedRange<Int>) async throws {
        for number in numbers {
            try await bus.append(
                BusMessage(subject: "apus.channel.room.lobby", payload: Array("\(number)".utf8)))
        }
    }

    private func value(_ frame: String) -> JSONValue { (try? JSONValue(parsing: frame.utf8)) ?? .null }

    @Test("the answer is there when the command returns, and the client gets what comes after its position, once")
    func atOnce() async throws {
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("1")
            await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, firstID)
            _ = await first.reply(2)
            try await publish(1...3)
            await first.push { $0["pub"]?["offset"] == 3 }
            let (second, secondID) = await connect("2")
            await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, secondID)
            let answer = try #require(second.frames.map(value).first { $0["id"] == 2 })
            #expect(answer["subscribe"]?["offset"] == 3)
            try await publish(4...5)
            await second.push { $0["pub"]?["offset"] == 5 }
            #expect(second.publications == [4, 5])
            #expect(first.publications == [1, 2, 3, 4, 5])
        }
    }

    @Test("what the client missed is in the answer when memory has it")
    func recoversAtOnce() async throws {
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("1")
            await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, firstID)
            let epoch = try #require(await first.reply(2)["subscribe"]?["epoch"]?.stringValue)
            try await publish(1...4)
            await first.push { $0["pub"]?["offset"] == 4 }
            let (second, secondID) = await connect("2")
            await send(
                #"{"id":2,"subscribe":{"channel":"room:lobby","recover":true,"epoch":"\#(epoch)","offset":2}}"#,
                secondID)
            let answer = try #require(second.frames.map(value).first { $0["id"] == 2 })
            #expect(answer["subscribe"]?["recovered"] == true)
            #expect(answer["subscribe"]?["publications"]?.arrayValue?.map { $0["data"] } == [3, 4])
            // Beyond what this gateway has seen memory can say nothing: the stream is asked, and knows no better.
            let (third, thirdID) = await connect("3")
            await send(
                #"{"id":2,"subscribe":{"channel":"room:lobby","recover":true,"epoch":"\#(epoch)","offset":99}}"#,
                thirdID)
            #expect(await third.reply(2)["subscribe"]?["recovered"] == nil)
        }
    }

    @Test("whoever joins while messages come gets each after its position once, in order", arguments: 0..<4)
    func whilePublishing(_ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("0")
            await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, firstID)
            _ = await first.reply(2)
            let last = 200
            async let published: Void = publish(1...last)
            var clients: [RecordingTransport] = []
            for user in 1...20 {
                let (client, id) = await connect("\(user)")
                for _ in 0..<Int.random(in: 0...5, using: &random) { await Task.yield() }
                await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, id)
                clients.append(client)
            }
            try await published
            try await publish(last + 1...last + 1)
            for client in clients {
                let position = try #require(await client.reply(2)["subscribe"]?["offset"]?.integerValue)
                await client.push { $0["pub"]?["offset"] == .integer(Int64(last + 1)) }
                #expect(
                    client.publications == (position + 1...Int64(last + 1)).map { .integer($0) }, "seed \(seed)")
            }
        }
    }

    @Test("what comes while another channel of the same connect is being made follows its answer")
    func besideAnother() async throws {
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("1")
            await send(#"{"id":2,"subscribe":{"channel":"quiet:lobby"}}"#, firstID)
            _ = await first.reply(2)
            let (questions, continuation) = AsyncStream<BusMessage>.makeStream()
            let hook = try bus.subscribe("apus.hook.asked.subscribe") { continuation.yield($0) }
            defer { hook.cancel() }
            let transport = RecordingTransport()
            let id = await fixture.shard.open(
                .serverSentEvents, codec: ServerSentEvents(), manner: .address, transport: transport)
            await fixture.shard.openAddress(
                id, token: "user-2",
                channels: ["quiet:lobby", "asked:new"].map { SubscribeCommand(channel: $0) }, cursor: nil)
            var iterator = questions.makeAsyncIterator()
            let question = try #require(await iterator.next()?.replyTo)
            try bus.publish(BusMessage(subject: "apus.channel.quiet.lobby", payload: Array("7".utf8)))
            await first.push { $0["pub"]?["data"] == 7 }
            #expect(!transport.isStarted)
            try bus.publish(BusMessage(subject: question, payload: Array(#"{"result":{}}"#.utf8)))
            _ = await transport.frame { $0.contains("data: 7") }
            #expect(transport.isStarted)
        }
    }

    @Test("a connect that is refused for one of its channels says nothing of those that were there at once")
    func refusedBeside() async throws {
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("1")
            await send(#"{"id":2,"subscribe":{"channel":"quiet:lobby"}}"#, firstID)
            _ = await first.reply(2)
            let transport = RecordingTransport()
            let id = await fixture.shard.open(
                .plainWebSocket, codec: PlainWebSocket(channel: "quiet:lobby"), manner: .address, transport: transport)
            await fixture.shard.openAddress(
                id, token: "user-2",
                channels: ["quiet:lobby", "none:such"].map { SubscribeCommand(channel: $0) }, cursor: nil)
            #expect(await transport.closing() != nil)
            #expect(transport.frames == [])
            #expect(await fixture.shard.load.subscriptions == 1)
        }
    }

    @Test("two who come before the channel is live both get what follows, and one who leaves meanwhile nothing")
    func beforeStart() async throws {
        try await ShardFixture.run([fixture], bus) {
            let (first, firstID) = await connect("1")
            let (second, secondID) = await connect("2")
            let (third, thirdID) = await connect("3")
            // All within one turn: no round to the bus can be over.
            await fixture.shard.receive([
                (#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, firstID),
                (#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, secondID),
                (#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, thirdID),
                (#"{"id":3,"unsubscribe":{"channel":"room:lobby"}}"#, thirdID),
            ])
            for client in [first, second] { #expect(await client.reply(2)["subscribe"]?["offset"] == 0) }
            #expect(await third.reply(3)["unsubscribe"] != nil)
            try await publish(1...3)
            for client in [first, second] {
                await client.push { $0["pub"]?["offset"] == 3 }
                #expect(client.publications == [1, 2, 3])
            }
            #expect(third.publications == [])
        }
    }

    @Test("who waits for a channel that cannot be subscribed is told to try again, and then can")
    func startFails() async throws {
        // Its stream is not there.
        let running = fixture
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await running.hub.run() }
            let (client, id) = await connect("1")
            await send(#"{"id":2,"subscribe":{"channel":"room:lobby"}}"#, id)
            let refused = await client.reply(2)
            #expect(refused["error"]?["temporary"] == true, "\(refused)")
            try await bus.ensureStream(
                .channelHistory(ShardFixture.history, namespace: "room", subjects: .standard))
            await send(#"{"id":3,"subscribe":{"channel":"room:lobby"}}"#, id)
            #expect(await client.reply(3)["subscribe"] != nil)
            try await publish(1...1)
            await client.push { $0["pub"]?["offset"] == 1 }
            group.cancelAll()
        }
    }
}

extension Shard {
    /// What several clients send, as if it came at once.
    fileprivate func receive(_ commands: [(String, ConnectionID)]) {
        for (text, id) in commands { receive(Array(text.utf8), from: id) }
    }
}
