import EventBus
import Events
import GatewaySession
import GatewayWire
import Identity
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestKit
import Testing

/// What a shard does to its connections over time: beats, the end of those that are dead, and its leaving.
@Suite(.timeLimit(.minutes(1))) struct ShardLifeTests {
    /// A client's end of a connection: what was written, and how it was closed.
    private final class Client: Transport, Sendable {
        struct State {
            var written: [[UInt8]] = []
            var closedWith: Disconnect?
            var isStarted = false
            var waiter: CheckedContinuation<Void, Never>?
        }

        let state = Mutex(State())

        var pings: Int { state.withLock { $0.written.count { $0 == Array("{}".utf8) } } }
        var closedWith: Disconnect? { state.withLock { $0.closedWith } }
        /// Frames that are no answer to a command and no ping.
        var pushes: [String] {
            state.withLock { $0.written.map { String(decoding: $0, as: UTF8.self) } }.filter { $0.hasPrefix("{\"push") }
        }

        func write(_ bytes: [UInt8]) { state.withLock { $0.written.append(bytes) } }
        func write(_ frame: SharedFrame) { frame.forEachMessage(write) }
        func flush() {}
        var outstandingBytes: Int { 0 }
        func ping() {}

        func start() {
            let waiter = state.withLock { state in
                state.isStarted = true
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }

        func close(_ disconnect: Disconnect) { state.withLock { $0.closedWith = disconnect } }

        func started() async {
            await withCheckedContinuation { continuation in
                let isStarted = state.withLock { state in
                    if !state.isStarted { state.waiter = continuation }
                    return state.isStarted
                }
                if isStarted { continuation.resume() }
            }
        }
    }

    private final class Time: Sendable {
        private let moment = Mutex(Moment(milliseconds: 1_000_000))
        var now: Moment { moment.withLock { $0 } }
        func pass(_ duration: Duration) { moment.withLock { $0 = $0.advanced(by: duration) } }
    }

    private let time = Time()
    private let lobby: ChannelName

    init() throws { lobby = try ChannelName("live:lobby") }

    /// A shard whose time and randomness are the test's.
    private func withShard(
        linger: Duration = .seconds(4), _ body: (Shard, PresenceService) async throws -> Void
    ) async throws {
        let bus = MemoryBus()
        let time = self.time
        let random = Mutex(SeededGenerator(seed: 7))
        let table = NamespaceTable(configured: [
            Namespace(name: "live", subscribe: .anyone, presence: true, joinLeave: true)
        ])
        let logger = Logger(label: "test")
        let clock = GatewayClock(moment: { time.now }, time: { Timestamp(seconds: 1_000) })
        let hub = Hub(
            bus: bus, feed: bus, subjects: .standard, namespaces: table, logger: logger,
            clock: { Timestamp(seconds: 1_000) })
        let presence = PresenceService(
            node: "n", bus: bus, subjects: .standard, linger: linger, logger: logger, clock: { time.now },
            onChange: { hub.deliver($0) })
        let rules = SessionRules(
            policy: ChannelPolicy(namespaces: table), limits: GatewayLimits(), allowsAnonymous: true,
            pingInterval: .seconds(25), version: "test",
            verify: { token, _ throws(IdentityError) in Identity(user: token) })
        let ids = Atomic<Int>(0)
        let environment = ShardEnvironment(
            rules: rules, hub: hub,
            backend: ChannelBackend(bus: bus, subjects: .standard, namespaces: table, makeMessageID: { "m" }),
            presence: presence, users: UserRegistry(limits: GatewayLimits()), metrics: GatewayMetrics(), clock: clock,
            makeClientID: { RandomID(high: 0, low: UInt64(ids.add(1, ordering: .relaxed).newValue)) },
            random: { random.withLock { $0.next() } }, logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let shard = Shard(executor: loop.executor.asUnownedSerialExecutor(), environment: environment) { shard in
            loop.execute { shard.assumeIsolated { $0.drainInbox() } }
        }
        try await withThrowingDiscardingTaskGroup { tasks in
            tasks.addTask { await hub.run() }
            try await body(shard, presence)
            tasks.cancelAll()
        }
        try await group.shutdownGracefully()
    }

    private func connect(_ client: Client, to shard: Shard) async -> ConnectionID {
        let id = await shard.open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: client)
        await shard.receive(Array(#"{"id":1,"connect":{}}"#.utf8), from: id)
        return id
    }

    /// A client on the lobby, as an address says it: who is there once it has started.
    private func join(
        _ client: Client, _ user: String, to shard: Shard, wantsJoinLeave: Bool = false
    ) async -> ConnectionID {
        let id = await shard.open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .address, transport: client)
        await shard.openAddress(
            id, token: user,
            channels: [SubscribeCommand(channel: "live:lobby", wantsJoinLeave: wantsJoinLeave)], cursor: nil)
        await client.started()
        return id
    }

    @Test("those who come in the same moment are pinged over the whole interval, each in its turn")
    func spread() async throws {
        try await withShard { shard, _ in
            var clients: [(Client, ConnectionID)] = []
            for _ in 0..<1000 {
                let client = Client()
                clients.append((client, await connect(client, to: shard)))
            }
            var pinged: [Int] = []
            for _ in 0..<50 {
                let before = clients.reduce(0) { $0 + $1.0.pings }
                time.pass(.seconds(1))
                await shard.tick()
                for (_, id) in clients { await shard.heard(id) }
                pinged.append(clients.reduce(0) { $0 + $1.0.pings } - before)
            }
            #expect(pinged.prefix(25).reduce(0, +) == 1000)
            #expect(pinged.max() ?? 0 < 80, "\(pinged)")
            #expect(clients.allSatisfy { $0.0.pings == 2 && $0.0.closedWith == nil })
        }
    }

    @Test("a dead connection is closed within two beats, and what belonged to it is gone at once")
    func dead() async throws {
        try await withShard(linger: .zero) { shard, presence in
            let (dead, alive) = (Client(), Client())
            _ = await join(dead, "dead", to: shard)
            let id = await join(alive, "alive", to: shard)
            #expect(presence.members(of: lobby).map(\.user).sorted() == ["alive", "dead"])
            var seconds = 0
            while dead.closedWith == nil, seconds < 100 {
                seconds += 1
                time.pass(.seconds(1))
                await shard.tick()
                await shard.heard(id)
            }
            #expect(dead.closedWith?.code == Disconnect.noPong.code)
            #expect(seconds > 25)
            #expect(seconds <= 51, "two beats, and the second in which the wheel turns")
            // Its socket may take ever so long to close.
            #expect(presence.members(of: lobby).map(\.user) == ["alive"])
            #expect(alive.closedWith == nil)
        }
    }

    @Test("a shard that leaves tells its clients evenly, and keeps them listed; newcomers are told at once")
    func leaving() async throws {
        try await withShard { shard, presence in
            var clients: [Client] = []
            for number in 0..<50 {
                let client = Client()
                clients.append(client)
                _ = await join(client, "u\(number)", to: shard)
            }
            await shard.beginDrain(over: .seconds(10))
            for tenth in 1...10 {
                time.pass(.seconds(1))
                let isDone = await shard.drainStep()
                #expect(clients.count { $0.closedWith != nil } == tenth * 5)
                #expect(isDone == (tenth == 10))
            }
            #expect(clients.allSatisfy { $0.closedWith == .shutdown })
            presence.step(now: time.now)
            // Those of the last four seconds may still come back unseen; nobody else has yet.
            #expect(presence.members(of: lobby).count == 20)
            let late = Client()
            _ = await shard.open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: late)
            #expect(late.closedWith == .shutdown)
        }
    }

    @Test("one that is sent away for good is no longer listed, one that may come back is")
    func sentAway() async throws {
        try await withShard { shard, presence in
            let (bad, cut) = (Client(), Client())
            let first = await join(bad, "bad", to: shard)
            let second = await join(cut, "cut", to: shard)
            await shard.receive(Array("no JSON".utf8), from: first)
            #expect(bad.closedWith == .badRequest)
            await shard.closed(second)
            #expect(presence.members(of: lobby).map(\.user) == ["cut"])
            time.pass(.seconds(4))
            presence.step(now: time.now)
            #expect(presence.members(of: lobby).isEmpty)
        }
    }

    @Test("a crowd costs each watcher a few frames, and whoever did not ask nothing")
    func crowd() async throws {
        try await withShard { shard, presence in
            let (watcher, other) = (Client(), Client())
            _ = await join(watcher, "watcher", to: shard, wantsJoinLeave: true)
            _ = await join(other, "other", to: shard)
            presence.step(now: time.now)
            await shard.drainInbox()
            let before = watcher.pushes.count
            for number in 0..<1000 { presence.join(lobby, ClientInfo(client: "x\(number)", user: "y\(number)")) }
            presence.step(now: time.now)
            await shard.drainInbox()
            let frames = watcher.pushes.dropFirst(before)
            #expect(frames.count == 4)
            #expect(frames.reduce(0) { $0 + $1.split(separator: "\n").count } == 1000)
            #expect(other.pushes.isEmpty)
        }
    }
}
