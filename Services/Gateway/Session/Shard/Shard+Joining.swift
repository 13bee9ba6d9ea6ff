internal import Events
internal import GatewayWire

/// Coming onto channels: at once where the hub follows them already, and by way of the bus where not.
extension Shard {
    /// What became of a join.
    private enum JoinOutcome: Sendable {
        case joined(SubscribeResult, SubscribeGrant, generation: UInt32)
        case refused(ClientFailure)
    }

    /// Begins to hold the channel's messages for the connection, unless it is on the channel at once; the rest follows in
    /// ``Session/subscribed(_:_:time:)``, after what hub and hook have to say.
    func join(
        _ connection: Connection, _ name: ChannelName, _ position: StreamPosition?, asksHook: Bool, data: [UInt8]?
    ) {
        guard let channel = channel(name) else { return }
        let subscription = Subscription(
            connection: connection, channel: channel, joinID: UInt32(truncatingIfNeeded: makeNumber()),
            isKnownToHook: asksHook)
        connection.subscriptions.insert(subscription)
        environment.metrics.subscribed(connection.protocolID)
        if asksHook {
            channel.beginJoin(subscription, recoverFrom: position)
            return joinByBus(subscription, asksHook: true, data: data)
        }
        if joinAtOnce(subscription, position) { return }
        channel.beginJoin(subscription, recoverFrom: position)
        if environment.hub.attachSoon(name, channel, isRecovering: position != nil) {
            goOn(subscription)
        } else {
            subscription.join?.awaitsStart = true
        }
    }

    /// The hub follows the channel: whose join waits for that goes on.
    func started(_ channel: ShardChannel) {
        for subscription in channel.takeAwaitingStart() { goOn(subscription) }
    }

    func startFailed(_ channel: ShardChannel) {
        for subscription in channel.takeAwaitingStart() { refuse(subscription, .cannotSubscribe) }
    }

    private func goOn(_ subscription: Subscription) {
        if joinAtOnce(subscription, subscription.join?.recoverFrom) { return }
        joinByBus(subscription, asksHook: false, data: nil)
    }

    /// Asks hub and hook, and the bus for what the client missed.
    private func joinByBus(_ subscription: Subscription, asksHook: Bool, data: [UInt8]?) {
        let connection = subscription.connection
        let channel = subscription.channel
        let joinID = subscription.joinID
        let position = subscription.join?.recoverFrom
        let hub = environment.hub
        let backend = environment.backend
        let client = connection.session.client
        let caller = connection.session.caller
        let trace = connection.trace
        spawn(connection) { () -> JoinOutcome in
            let hubChannel: HubChannel
            do {
                hubChannel = try await hub.attach(channel.name, channel, isRecovering: position != nil)
            } catch {
                return .refused(.cannotSubscribe)
            }
            // From before the hook is asked: what is published while it gathers its data is in them, or follows them.
            let start = hubChannel.beginning
            var grant = SubscribeGrant()
            do throws(ClientFailure) {
                if asksHook { grant = try await backend.mayJoin(channel.name, caller, data: data, trace: trace) }
            } catch {
                return .refused(error)
            }
            do {
                var (result, generation) = try await Shard.beginning(
                    hub, hubChannel, position, start: start, client: client)
                result.data = grant.data
                return .joined(result, grant, generation: generation)
            } catch {
                return .refused(.cannotSubscribe)
            }
        } finish: { shard, connection, outcome in
            shard.joined(connection, channel, joinID, outcome)
        }
    }

    private func channel(_ name: ChannelName) -> ShardChannel? {
        if let channel = channels[name] { return channel }
        guard let namespace = environment.rules.policy.namespaces[name.namespace] else { return nil }
        let channel = ShardChannel(name: name, namespace: NamespaceTraits(namespace), shard: self)
        channels[name] = channel
        return channel
    }

    /// Joins without waiting for anybody, where the hub follows the channel and what the client missed is in memory.
    ///
    /// Nothing is between the position and what comes: the hub gives both under the channel's lock. What this shard's inbox
    /// holds from before is part of what the position covers, by its sequence, or of another life of the channel.
    /// - Returns: false if the join must go the long way.
    private func joinAtOnce(_ subscription: Subscription, _ position: StreamPosition?) -> Bool {
        let (connection, channel) = (subscription.connection, subscription.channel)
        guard let (hubChannel, start) = environment.hub.attachAtOnce(channel.name, channel) else { return false }
        var result = SubscribeResult()
        var generation = start.generation
        if hubChannel.history != nil {
            result.position = start.position
            if let position {
                guard
                    let recovery = environment.hub.recoverAtOnce(
                        hubChannel, from: Shard.position(position, start.position))
                else { return false }
                result = Shard.result(recovery, client: connection.session.client)
                generation = recovery.generation
            }
        }
        begin(subscription, result, generation, SubscribeGrant())
        // With others that belong to the same connect, its answer may still wait for one of them.
        if subscription.group == nil, subscription.join == nil, connection.subscriptions[channel.name] === subscription
        {
            channel.beginJoin(subscription)
        }
        return true
    }

    /// As in Centrifuge's protocol, a position without an epoch is one of the present life.
    private static func position(_ position: StreamPosition, _ present: StreamPosition) -> StreamPosition {
        StreamPosition(epoch: position.epoch.isEmpty ? present.epoch : position.epoch, offset: position.offset)
    }

    private static func result(_ recovery: Recovery, client: RandomID) -> SubscribeResult {
        let missed = recovery.messages.filter { $0.excludedClient != client }
        return SubscribeResult(
            position: recovery.position, recovery: recovery.outcome, publications: missed.map(\.publication))
    }

    /// Where the subscription begins, in which of the channel's lives, and what the client missed before it.
    private static func beginning(
        _ hub: Hub, _ channel: HubChannel, _ position: StreamPosition?,
        start: HubChannel.Beginning, client: RandomID
    ) async throws -> (SubscribeResult, generation: UInt32) {
        guard channel.history != nil else { return (SubscribeResult(), start.generation) }
        guard let position else { return (SubscribeResult(position: start.position), start.generation) }
        let recovery = try await hub.recover(channel, from: Shard.position(position, start.position))
        return (Shard.result(recovery, client: client), recovery.generation)
    }

    private func joined(
        _ connection: Connection, _ channel: ShardChannel, _ joinID: UInt32, _ outcome: JoinOutcome
    ) {
        let name = channel.name
        defer { detachIfUnused(channel) }
        guard let subscription = connection.subscriptions[name], subscription.joinID == joinID, !connection.isClosed
        else { return }
        switch outcome {
        case .joined(let result, let grant, let generation): begin(subscription, result, generation, grant)
        case .refused(let failure): refuse(subscription, failure)
        }
    }

    private func begin(
        _ subscription: Subscription, _ result: SubscribeResult, _ generation: UInt32, _ grant: SubscribeGrant
    ) {
        // The channel outran the join: joining again begins where the channel is then.
        if let join = subscription.join, !join.isWhole(from: result.position?.offset ?? .max) {
            return refuse(subscription, .unavailable("the channel was interrupted; subscribe again"))
        }
        environment.metrics.recovered(result.recovery)
        subscription.startAfter = result.position?.offset ?? 0
        subscription.generation = generation
        let connection = subscription.connection
        perform(
            connection.session.subscribed(
                subscription.channel.name, result, expiresIn: grant.expiresIn, time: environment.clock.time()),
            connection)
    }

    private func refuse(_ subscription: Subscription, _ failure: ClientFailure) {
        // A service that said no knows; one that did not answer in time may have said yes.
        if !failure.isTemporary { subscription.isKnownToHook = false }
        let connection = subscription.connection
        perform(
            connection.session.subscriptionFailed(
                subscription.channel.name, failure, time: environment.clock.time()), connection)
    }
}

extension ClientFailure {
    fileprivate static let cannotSubscribe = unavailable("the channel cannot be subscribed now")
}
