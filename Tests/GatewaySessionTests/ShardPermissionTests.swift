import EventBus
import Events
import GatewaySession
import GatewayWire
import Identity
import JSON
import Logging
import Synchronization
import Testing

extension Shard {
    fileprivate func connect(_ client: RecordingTransport) -> ConnectionID {
        open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: client)
    }

    fileprivate func send(_ text: String, _ id: ConnectionID) { receive(Array(text.utf8), from: id) }
}

/// One shard on the bus in memory: hooks that are slow or away, orders, and whom a message leaves out.
@Suite(.timeLimit(.minutes(1))) struct ShardPermissionTests {
    private let bus = MemoryBus()
    private let subjects = Subjects.standard
    private let shard: Shard
    private let hub: Hub

    init() {
        let namespaces = NamespaceTable(configured: [
            Namespace(name: "quiet", subscribe: .authenticated, publish: .subscriber),
            Namespace(name: "asked", subscribe: .hook, publish: .hook),
        ])
        let logger = Logger(label: "test")
        let clock = GatewayClock(moment: { Moment(milliseconds: 1_000) }, time: { Timestamp(seconds: 1_000) })
        let hub = Hub(
            bus: bus, feed: bus, subjects: subjects, namespaces: namespaces, logger: logger, clock: clock.time)
        let numbers = Mutex<UInt64>(0)
        let makeNumber: @Sendable () -> UInt64 = {
            numbers.withLock { number in
                number += 1
                return number
            }
        }
        let environment = ShardEnvironment(
            rules: SessionRules(
                policy: ChannelPolicy(namespaces: namespaces), limits: GatewayLimits(), allowsAnonymous: false,
                pingInterval: .seconds(25), version: "test",
                verify: { token, _ throws(IdentityError) in Identity(user: token) }),
            hub: hub,
            backend: ChannelBackend(
                bus: bus, subjects: subjects, namespaces: namespaces, hookTimeout: .milliseconds(300),
                makeMessageID: { "m\(makeNumber())" }),
            presence: PresenceService(
                node: "n", bus: bus, subjects: subjects, logger: logger, clock: clock.moment, onChange: { _ in }),
            users: UserRegistry(limits: GatewayLimits()), metrics: GatewayMetrics(), clock: clock,
            makeClientID: { RandomID(high: 0, low: makeNumber()) }, logger: logger)
        let executor = QueueExecutor()
        self.hub = hub
        shard = Shard(executor: executor.asUnownedSerialExecutor(), environment: environment) { shard in
            // The executor lives as long as whoever may wake the shard.
            _ = executor
            Task { await shard.drainInbox() }
        }
    }

    private func withGateway(_ body: () async throws -> Void) async throws {
        let history = try #require(ChannelHistory.builtIn["user"])
        try await bus.ensureStream(.channelHistory(history, namespace: "user", subjects: subjects))
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            try await body()
            group.cancelAll()
        }
    }

    /// Somebody who is connected, with the connection's public and secret names.
    private func connect(_ user: String) async -> (
        client: RecordingTransport, id: ConnectionID, name: String, session: String
    ) {
        let client = RecordingTransport()
        let id = await shard.connect(client)
        await shard.send(#"{"id":1,"connect":{"token":"\#(user)"}}"#, id)
        let reply = await client.reply(1)["connect"]
        return (client, id, reply?["client"]?.stringValue ?? "", reply?["session"]?.stringValue ?? "")
    }

    @Test("a hook that never answers is a temporary error to who asked, and delays nobody and nothing else")
    func silentHook() async throws {
        let asked = Mutex(0)
        let silent = try bus.subscribe("apus.hook.asked.*") { message in
            if message.replyTo != nil { asked.withLock { $0 += 1 } }
        }
        defer { silent.cancel() }
        try await withGateway {
            let ann = await connect("42")
            let bob = await connect("7")
            await shard.send(#"{"id":2,"subscribe":{"channel":"asked:a"}}"#, ann.id)
            await shard.send(#"{"id":3,"publish":{"channel":"asked:b","data":1}}"#, ann.id)
            await shard.send(#"{"id":4,"subscribe":{"channel":"quiet:a"}}"#, ann.id)
            #expect(await ann.client.reply(4)["subscribe"] != nil)
            await shard.send(#"{"id":2,"subscribe":{"channel":"quiet:a"}}"#, bob.id)
            #expect(await bob.client.reply(2)["subscribe"] != nil)
            await shard.send(#"{"id":5,"publish":{"channel":"quiet:a","data":"through"}}"#, ann.id)
            #expect(await ann.client.reply(5)["publish"] != nil)
            await bob.client.push { $0["pub"]?["data"] == "through" }
            for id: Int64 in [2, 3] {
                let error = await ann.client.reply(id)["error"]
                #expect(error?["temporary"] == true && error?["message"]?.stringValue?.isEmpty == false)
            }
            #expect(asked.withLock { $0 } == 2)
        }
    }

    @Test("a hook's yes reaches the client with its data, and the hook hears of the end, once, with its reason")
    func leaveNotices() async throws {
        let left = Mutex<[String]>([])
        let bus = self.bus
        let hook = try bus.subscribe("apus.hook.asked.subscribe") { message in
            guard let reply = message.replyTo else { return }
            let isRefused = (try? JSONValue(parsing: message.payload))?["channel"] == "asked:no"
            let answer = isRefused ? #"{"error":{"code":403,"message":"no"}}"# : #"{"result":{"data":[1]}}"#
            try? bus.publish(BusMessage(subject: reply, payload: Array(answer.utf8)))
        }
        let notices = try bus.subscribe("apus.hook.asked.leave") { message in
            guard let notice = try? JSONValue(parsing: message.payload) else { return }
            left.withLock {
                $0.append("\(notice["channel"]?.stringValue ?? "") \(notice["reason"]?.stringValue ?? "")")
            }
        }
        defer {
            hook.cancel()
            notices.cancel()
        }
        try await withGateway {
            let ann = await connect("42")
            for (id, channel) in [(2, "a"), (3, "b"), (4, "c"), (5, "no")] {
                await shard.send(#"{"id":\#(id),"subscribe":{"channel":"asked:\#(channel)"}}"#, ann.id)
                let reply = await ann.client.reply(Int64(id))
                #expect(channel == "no" ? reply["error"]?["code"] == 403 : reply["subscribe"]?["data"] == [1])
            }
            await shard.send(#"{"id":6,"unsubscribe":{"channel":"asked:a"}}"#, ann.id)
            let channel = try ChannelName("asked:b")
            #expect(await shard.obey(.unsubscribe(channel), for: ConnectionSelection(user: "42")) == 1)
            await ann.client.push { $0["unsubscribe"]?["code"] == 2000 }
            await shard.closed(ann.id)
            try await bus.flush(timeout: .seconds(5))
            #expect(left.withLock { $0 } == ["asked:a unsubscribe", "asked:b server", "asked:c disconnect"])
        }
    }

    @Test("a message leaves out the connection that it names, and no other of the same user")
    func exclusion() async throws {
        try await withGateway {
            let (ann, other, bob) = (await connect("42"), await connect("42"), await connect("7"))
            for person in [ann, other, bob] {
                await shard.send(#"{"id":2,"subscribe":{"channel":"quiet:a"}}"#, person.id)
                _ = await person.client.reply(2)
            }
            let subject = subjects.channel(try ChannelName("quiet:a"))
            try bus.publish(
                BusMessage(subject: subject, headers: ["Apus-Exclude": ann.name], payload: Array("1".utf8)))
            try bus.publish(BusMessage(subject: subject, payload: Array("2".utf8)))
            for person in [ann, other, bob] { await person.client.push { $0["pub"]?["data"] == 2 } }
            #expect(ann.client.publications == [2])
            #expect(other.client.publications == [1, 2])
            #expect(bob.client.publications == [1, 2])
        }
    }

    @Test("orders concern those whom they name, by user, connection or session, and not the whitelisted")
    func orders() async throws {
        try await withGateway {
            let (first, second, third) = (await connect("42"), await connect("42"), await connect("7"))
            #expect(first.session != first.name && !first.session.isEmpty)
            func obey(_ order: ControlOrder, _ selection: ConnectionSelection) async -> Int {
                await shard.obey(order, for: selection)
            }
            let channel = try ChannelName("quiet:a")
            #expect(
                await obey(
                    .subscribe(channel, from: nil, data: ["why": 1]),
                    ConnectionSelection(user: "42", session: second.session)) == 1)
            await second.client.push { $0["subscribe"]?["data"] == ["why": 1] && $0["channel"] == "quiet:a" }
            #expect(await shard.channelCounts(ChannelPattern("quiet:*")) == ["quiet:a": 1])
            #expect(
                await obey(
                    .refresh(expiresAt: Timestamp(seconds: 1_600)), ConnectionSelection(user: nil, client: third.name))
                    == 1)
            await third.client.push { $0["refresh"]?["ttl"] == 600 }
            #expect(await obey(.disconnect(.forced), ConnectionSelection(user: "nobody")) == 0)
            #expect(
                await obey(.disconnect(.forced), ConnectionSelection(user: "42", excluded: [second.name])) == 1)
            #expect(await first.client.closing() == .forced)
            let own = Disconnect(code: 4321, reason: "go")
            #expect(await obey(.disconnect(own), ConnectionSelection(user: "42")) == 1)
            #expect(await second.client.closing() == own)
            await shard.send(#"{"id":9,"ping":{}}"#, third.id)
            #expect(await third.client.reply(9)["ping"] != nil)
        }
    }
}
