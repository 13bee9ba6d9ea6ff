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

    init(node: String, bus: MemoryBus, limits: GatewayLimits = GatewayLimits(), allowsAnonymous: Bool = false) {
        let subjects = Subjects.standard
        let logger = Logger(label: "test")
        let clock = GatewayClock(
            moment: { Moment(milliseconds: SystemBusClock().now.seconds * 1000) }, time: { SystemBusClock().now })
        let hub = Hub(
            bus: bus, feed: bus, subjects: subjects, namespaces: ShardFixture.namespaces, logger: logger,
            clock: clock.time)
        let presence = PresenceService(
            node: node, bus: bus, subjects: subjects, logger: logger, clock: clock.moment,
            onChange: { hub.deliver($0) })
        let backend = ChannelBackend(
            bus: bus, subjects: subjects, namespaces: ShardFixture.namespaces, makeMessageID: ShardFixture.ids("m"))
        let rules = SessionRules(
            policy: ChannelPolicy(namespaces: ShardFixture.namespaces), limits: limits,
            allowsAnonymous: allowsAnonymous, pingInterval: .seconds(25), version: "test",
            verify: { token, _ throws(IdentityError) in
                guard token.hasPrefix("user-") else { throw .badSignature }
                return Identity(user: String(token.dropFirst(5)), info: ["name": .string(token)])
            })
        let environment = ShardEnvironment(
            rules: rules, hub: hub, backend: backend, presence: presence, users: UserRegistry(limits: limits),
            metrics: GatewayMetrics(), clock: clock, makeClientID: ShardFixture.ids("\(node)-c"), logger: logger)
        let executor = QueueExecutor()
        self.hub = hub
        self.presence = presence
        shard = Shard(executor: executor.asUnownedSerialExecutor(), environment: environment) { shard in
            // The executor lives as long as whoever may wake the shard.
            _ = executor
            Task { await shard.drainInbox() }
        }
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
