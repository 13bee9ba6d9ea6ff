import EventBus
import Events
import GatewaySession
import GatewayWire
import Identity
import JSON
import Logging
import Synchronization

/// A gateway without sockets: one shard with all that it needs, on a bus in memory.
struct ShardFixture: Sendable {
    let shard: Shard
    let hub: Hub
    let presence: PresenceService

    static let history = ChannelHistory(size: 5, timeToLive: .seconds(3600))

    static let namespaces = NamespaceTable(configured: [
        Namespace(
            name: "room", subscribe: .authenticated, publish: .subscriber, history: history, presence: true,
            joinLeave: true),
        Namespace(name: "quiet", subscribe: .authenticated, publish: .subscriber),
        Namespace(name: "asked", subscribe: .hook, publish: .hook),
    ])

    init(
        node: String, bus: MemoryBus, limits: GatewayLimits = GatewayLimits(), allowsAnonymous: Bool = false,
        namespaces: NamespaceTable = ShardFixture.namespaces,
        moment: @escaping @Sendable () -> Moment = { Moment(milliseconds: SystemBusClock().now.seconds * 1000) }
    ) {
        let subjects = Subjects.standard
        let logger = Logger(label: "test")
        let clock = GatewayClock(moment: moment, time: { SystemBusClock().now })
        let hub = Hub(
            bus: bus, feed: bus, subjects: subjects, namespaces: namespaces, logger: logger, clock: clock.time)
        let presence = PresenceService(
            node: node, bus: bus, subjects: subjects, logger: logger, clock: clock.moment,
            onChange: { hub.deliver($0) })
        let backend = ChannelBackend(
            bus: bus, subjects: subjects, namespaces: namespaces, makeMessageID: ShardFixture.ids("m"))
        let rules = SessionRules(
            policy: ChannelPolicy(namespaces: namespaces), limits: limits,
            allowsAnonymous: allowsAnonymous, pingInterval: .seconds(25), version: "test",
            verify: { token, _ throws(IdentityError) in
                // One that says nothing of its user but the id.
                if token.hasPrefix("bare-") { return Identity(user: String(token.dropFirst(5))) }
                guard token.hasPrefix("user-") else { throw .badSignature }
                return Identity(user: String(token.dropFirst(5)), info: ["name": .string(token)])
            })
        let environment = ShardEnvironment(
            rules: rules, hub: hub, backend: backend, presence: presence, users: UserRegistry(limits: limits),
            metrics: GatewayMetrics(), clock: clock, makeClientID: ShardFixture.clientIDs(node), logger: logger)
        let executor = QueueExecutor()
        self.hub = hub
        self.presence = presence
        shard = Shard(executor: executor.asUnownedSerialExecutor(), environment: environment) { shard in
            // The executor lives as long as whoever may wake the shard.
            _ = executor
            Task { await shard.drainInbox() }
        }
    }

    /// The name of a gateway's connections, in their order; each has two.
    static func clientID(_ node: String, _ number: Int) -> RandomID {
        RandomID(high: UInt64(node.utf8.first ?? 0), low: UInt64(number))
    }

    private static func clientIDs(_ node: String) -> @Sendable () -> RandomID {
        let box = Box(count: Atomic<Int>(0))
        return { clientID(node, box.count.wrappingAdd(1, ordering: .relaxed).newValue) }
    }

    private static func ids(_ prefix: String) -> @Sendable () -> String {
        let count = Atomic<Int>(0)
        let box = Box(count: count)
        return { "\(prefix)\(box.count.wrappingAdd(1, ordering: .relaxed).newValue)" }
    }

    private final class Box: Sendable {
        let count: Atomic<Int>
        init(count: consuming Atomic<Int>) { self.count = count }
    }

    /// Runs gateways on one bus until `body` is done.
    static func run(_ fixtures: [ShardFixture], _ bus: MemoryBus, _ body: () async throws -> Void) async throws {
        try await bus.ensureStream(.channelHistory(history, namespace: "room", subjects: .standard))
        try await withThrowingDiscardingTaskGroup { group in
            for fixture in fixtures {
                group.addTask { await fixture.hub.run() }
                group.addTask { try? await fixture.presence.run() }
            }
            try await body()
            group.cancelAll()
        }
    }
}
