package import GatewaySession
package import NIOCore
internal import Synchronization

/// The shards of a gateway, one per event loop.
package final class ShardGroup: Sendable {
    private let shards: [ObjectIdentifier: Shard]
    private let all: [(loop: any EventLoop, shard: Shard)]
    private let metrics: GatewayMetrics
    private let next = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)
    private let users: UserRegistry

    /// How often it is measured how late an event loop is.
    private static let lagInterval = TimeAmount.milliseconds(250)

    package init(group: any EventLoopGroup, environment: ShardEnvironment) {
        users = environment.users
        metrics = environment.metrics
        all = group.makeIterator().map { loop in
            let shard = Shard(executor: loop.executor.asUnownedSerialExecutor(), environment: environment) { shard in
                loop.execute { shard.assumeIsolated { $0.drainInbox() } }
            }
            return (loop, shard)
        }
        shards = Dictionary(uniqueKeysWithValues: all.map { (ObjectIdentifier($0.loop), $0.shard) })
    }

    /// The shard of the loop that a connection runs on.
    package func shard(of loop: any EventLoop) -> Shard {
        guard let shard = shards[ObjectIdentifier(loop)] else {
            preconditionFailure("a connection runs on a loop of another group")
        }
        return shard
    }

    /// A shard for a connection that is bound to no loop, in turn.
    package func any() -> Shard { anyWithLoop().shard }

    /// The same with the loop that the shard runs on.
    func anyWithLoop() -> (loop: any EventLoop, shard: Shard) {
        all[next.wrappingAdd(1, ordering: .relaxed).oldValue % all.count]
    }

    /// Runs `body` on the shard's loop soon, in the order of the calls.
    package func run(on shard: Shard, _ body: @escaping @Sendable (isolated Shard) -> Void) {
        guard let loop = all.first(where: { $0.shard === shard })?.loop else { return }
        loop.execute { shard.assumeIsolated { body($0) } }
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

    /// Begins to give every shard its tick, about once a second, and to measure how late the loops are.
    package func startTicking() -> [RepeatedTask] {
        all.flatMap { loop, shard in
            let tick = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
                shard.assumeIsolated { $0.tick() }
            }
            return [tick, measureLag(of: loop)]
        }
    }

    private func measureLag(of loop: any EventLoop) -> RepeatedTask {
        let interval = ShardGroup.lagInterval
        let due = NIOLoopBoundBox.makeBoxSendingValue(NIODeadline.now() + interval, eventLoop: loop)
        return loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [metrics] _ in
            metrics.lagged(nanoseconds: (.now() - due.value).nanoseconds)
            // A repeated task is planned anew when it has run.
            due.value = .now() + interval
        }
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
