import EventBus
import Events
import GatewayWire
import Identity
import Logging
import NIOCore
import NIOPosix
import Synchronization

@testable import GatewayEdge
@testable import GatewaySession

/// One shard on an event loop, with a hub on a bus in memory behind it.
struct ShardHarness {
    let shard: Shard
    let hub: Hub
    let bus: MemoryBus
    let users: UserRegistry

    /// What every connection is called.
    static let client = RandomID(high: 0, low: 1)

    /// Anybody may subscribe to these; `room` has a history.
    static let namespaces = [
        Namespace(name: "room", subscribe: .anyone, history: ChannelHistory(size: 100, timeToLive: .seconds(3600))),
        Namespace(name: "live", subscribe: .anyone),
        Namespace(name: "latest", subscribe: .anyone, slow: .latest),
        Namespace(name: "oldest", subscribe: .anyone, slow: .dropOldest),
    ]

    static func run(
        limits: GatewayLimits = GatewayLimits(), inbox: ShardInbox = ShardInbox(),
        _ body: (ShardHarness) async throws -> Void
    ) async throws {
        let bus = MemoryBus()
        let table = NamespaceTable(configured: namespaces)
        for namespace in namespaces {
            guard let history = namespace.history else { continue }
            try await bus.ensureStream(.channelHistory(history, namespace: namespace.name, subjects: .standard))
        }
        let logger = Logger(label: "test")
        let clock = GatewayClock(moment: { Moment(milliseconds: 1_000_000) }, time: { Timestamp(seconds: 1_000) })
        let hub = Hub(
            bus: bus, feed: bus, subjects: .standard, namespaces: table, logger: logger, clock: { SystemBusClock().now }
        )
        let users = UserRegistry(limits: limits)
        let presence = PresenceService(
            node: "n", bus: bus, subjects: .standard, logger: logger, clock: clock.moment, onChange: { _ in })
        let rules = SessionRules(
            policy: ChannelPolicy(namespaces: table), limits: limits, allowsAnonymous: true, pingInterval: .seconds(25),
            version: "test",
            verify: { token, _ throws(IdentityError) in Identity(user: token) })
        let environment = ShardEnvironment(
            rules: rules, hub: hub,
            backend: ChannelBackend(
                bus: bus, subjects: .standard, namespaces: table, makeMessageID: { "m" }),
            presence: presence, users: users, metrics: GatewayMetrics(), clock: clock,
            makeClientID: { ShardHarness.client },
            logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let shard = Shard(
            executor: loop.executor.asUnownedSerialExecutor(), environment: environment, inbox: inbox
        ) { shard in
            loop.execute { shard.assumeIsolated { $0.drainInbox() } }
        }
        let harness = ShardHarness(shard: shard, hub: hub, bus: bus, users: users)
        try await withThrowingDiscardingTaskGroup { tasks in
            tasks.addTask { await hub.run() }
            try await body(harness)
            tasks.cancelAll()
        }
        try await group.shutdownGracefully()
    }

    /// A client on channels, once it is there.
    func open(
        _ protocolID: WireProtocolID, _ codec: any WireProtocol, _ transport: RecordingTransport, _ channels: [String],
        from cursor: ChannelCursor = ChannelCursor()
    ) async -> ConnectionID {
        let id = await shard.openStream(
            protocolID, codec: codec, transport: transport, token: nil,
            channels: channels.map { SubscribeCommand(channel: $0, recoverFrom: cursor[$0]) })
        await transport.wait { $0.isStarted || $0.closedWith != nil }
        return id
    }

    /// A message as the hub gives it.
    static func delivery(_ payload: String) -> ChannelDelivery {
        .message(
            ChannelMessage(
                publication: Publication(payload: Array(payload.utf8)), storedAt: Timestamp(seconds: 1_000)))
    }
}

extension Shard {
    /// Takes what the hub gives for channels that somebody is on, as one batch.
    func receive(_ batch: [(ChannelDelivery, channel: String)]) throws {
        for (delivery, name) in batch {
            let channel = try ChannelName(name)
            channels[channel]?.receive(delivery)
        }
        drainInbox()
    }

    /// A client of the Centrifuge protocol.
    func openCommands(_ transport: RecordingTransport) -> ConnectionID {
        open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: transport)
    }
}

/// A connection's other end: keeps what was written, reads as fast as a test says, and lets it wait for something.
final class RecordingTransport: Transport, Sendable {
    struct State: Sendable {
        var written: [[UInt8]] = []
        /// How much of it the client has taken.
        var taken = 0
        var isStarted = false
        var closedWith: Disconnect?

        var texts: [String] { written.map { String(decoding: $0, as: UTF8.self) } }
    }

    private struct Waiting {
        var state = State()
        var waiters: [(condition: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let waiting = Mutex(Waiting())
    private let reads: Bool

    /// - Parameter reads: whether the client takes everything at once.
    init(reads: Bool = true) { self.reads = reads }

    var state: State { waiting.withLock { $0.state } }

    func wait(for condition: @escaping @Sendable (State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let holds = waiting.withLock { waiting in
                if condition(waiting.state) { return true }
                waiting.waiters.append((condition, continuation))
                return false
            }
            if holds { continuation.resume() }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let ready = waiting.withLock { waiting in
            body(&waiting.state)
            let state = waiting.state
            let ready = waiting.waiters.filter { $0.condition(state) }.map(\.continuation)
            waiting.waiters.removeAll { $0.condition(state) }
            return ready
        }
        for continuation in ready { continuation.resume() }
    }

    /// The client takes so many bytes of what waits.
    func take(_ bytes: Int) { change { $0.taken += bytes } }

    func write(_ bytes: [UInt8]) {
        change { state in
            state.written.append(bytes)
            if reads { state.taken += bytes.count }
        }
    }

    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }
    func flush() {}
    var outstandingBytes: Int { waiting.withLock { $0.state.written.reduce(0) { $0 + $1.count } - $0.state.taken } }
    func start() { change { $0.isStarted = true } }
    func ping() {}
    func close(_ disconnect: Disconnect) { change { $0.closedWith = disconnect } }
}
