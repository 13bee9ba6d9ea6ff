package import GatewaySession
package import Reactor
internal import Synchronization

/// The shards of a gateway, one per reactor.
package final class ShardGroup: Sendable {
    private let all: [(reactor: Reactor, shard: Shard)]
    private let metrics: GatewayMetrics
    private let next = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)
    private let users: UserRegistry

    package init(reactors: [Reactor], environment: ShardEnvironment) {
        users = environment.users
        metrics = environment.metrics
        all = reactors.map { reactor in
            let shard = Shard(executor: reactor.asUnownedSerialExecutor(), environment: environment) { shard in
                reactor.execute { shard.assumeIsolated { $0.drainInbox() } }
            }
            return (reactor, shard)
        }
    }

    package var count: Int { all.count }

    /// What the connections of each reactor share.
    func loops(limits: GatewayLimits, admission: ConnectionAdmission) -> [EdgeLoop] {
        all.map { EdgeLoop(reactor: $0.reactor, shard: $0.shard, limits: limits, admission: admission) }
    }

    /// A shard for a connection that is bound to no loop, in turn.
    package func any() -> Shard { anyWithReactor().shard }

    /// The same with the reactor that the shard runs on.
    func anyWithReactor() -> (reactor: Reactor, shard: Shard) {
        all[next.wrappingAdd(1, ordering: .relaxed).oldValue % all.count]
    }

    /// Runs `body` on the shard's loop soon, in the order of the calls.
    package func run(on shard: Shard, _ body: @escaping @Sendable (isolated Shard) -> Void) {
        guard let reactor = all.first(where: { $0.shard === shard })?.reactor else { return }
        reactor.execute { shard.assumeIsolated { body($0) } }
    }

    /// How many clients are connected to this gateway.
    package var connectionCount: Int64 {
        get async {
            var count = 0
            for (_, shard) in all { count += await shard.connectionCount }
            return Int64(count)
        }
    }

    // MARK: What backends order and ask

    /// Does it for the connections here that it is for.
    /// - Returns: how many they are.
    package func obey(_ order: ControlOrder, for selection: ConnectionSelection) async -> Int {
        // Most users are on few gateways: the others need not look through their connections.
        if let user = selection.user, !user.isEmpty, !users.isConnected(user) { return 0 }
        var count = 0
        for (_, shard) in all { count += await shard.obey(order, for: selection) }
        return count
    }

    package var load: (clients: Int, users: Int, subscriptions: Int) {
        get async {
            var load = (clients: 0, users: users.count, subscriptions: 0)
            for (_, shard) in all {
                let part = await shard.load
                load.clients += part.clients
                load.subscriptions += part.subscriptions
            }
            return load
        }
    }

    /// The channels here whose names `pattern` fits, with their subscribers.
    package func channelCounts(_ pattern: ChannelPattern?) async -> [String: Int] {
        var counts: [String: Int] = [:]
        for (_, shard) in all { counts.merge(await shard.channelCounts(pattern)) { $0 + $1 } }
        return counts
    }

    /// Begins to give every shard its tick, about once a second, and to measure with it how late the loops are: one wake-up
    /// for all that a loop without work does.
    func startTicking(_ loops: [EdgeLoop]) -> Ticking {
        let ticking = Ticking()
        for loop in loops {
            ticking.repeatedly(each: .seconds(1), on: loop.reactor) { [metrics] late in
                metrics.lagged(nanoseconds: Int64(late / .nanoseconds(1)))
                loop.sweep()
                loop.onShard { $0.tick() }
            }
        }
        return ticking
    }

    // MARK: Going away

    /// Whether new connections are turned away.
    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    package func refuseNewConnections() { draining.store(true, ordering: .relaxed) }

    /// Tells every client to go, as fast as `policy` has it, and returns when all were told; at once when the task is
    /// cancelled.
    package func drain(_ policy: DrainPolicy) async {
        refuseNewConnections()
        let duration = policy.duration(for: Int(await connectionCount))
        for (_, shard) in all { await shard.beginDrain(over: duration) }
        var isDone = false
        while !isDone {
            if Task.isCancelled {
                for (_, shard) in all { await shard.beginDrain(over: .zero) }
            }
            isDone = true
            for (_, shard) in all where await !shard.drainStep() { isDone = false }
            if !isDone { try? await Task.sleep(for: .milliseconds(50)) }
        }
    }
}
