internal import DequeModule
internal import EventBus
internal import Events
internal import GatewayWire

/// Joining channels, following them and leaving them.
extension Shard {
    /// What became of a join.
    private enum JoinOutcome: Sendable {
        case joined(SubscribeResult, SubscribeGrant, generation: UInt32)
        case refused(ClientFailure)
    }

    /// Begins to hold the channel's messages for the connection, then asks hub and hook; the rest follows in
    /// ``Session/subscribed(_:_:time:)``.
    func join(
        _ connection: Connection, _ name: ChannelName, _ position: StreamPosition?, asksHook: Bool, data: [UInt8]?
    ) {
        guard let channel = channel(name) else { return }
        let subscription = Subscription(
            connection: connection, channel: channel, joinID: UInt32(truncatingIfNeeded: makeNumber()),
            isKnownToHook: asksHook)
        connection.subscriptions.insert(subscription)
        environment.metrics.subscribed(connection.protocolID)
        if !asksHook, joinAtOnce(connection, subscription, position) { return }
        channel.beginJoin(subscription)
        let joinID = subscription.joinID
        let name = channel.name
        let hub = environment.hub
        let backend = environment.backend
        let client = connection.session.client
        let caller = connection.session.caller
        let trace = connection.trace
        let shard = self
        spawn(connection) { () -> JoinOutcome in
            let hubChannel: HubChannel
            do {
                hubChannel = try await hub.attach(name, shard)
            } catch {
                return .refused(.unavailable("the channel cannot be subscribed now"))
            }
            // From before the hook is asked: what is published while it gathers its data is in them, or follows them.
            let start = hubChannel.beginning
            var grant = SubscribeGrant()
            do throws(ClientFailure) {
                if asksHook { grant = try await backend.mayJoin(name, caller, data: data, trace: trace) }
            } catch {
                return .refused(error)
            }
            do {
                var (result, generation) = try await Shard.beginning(
                    hub, hubChannel, position, start: start, client: client)
                result.data = grant.data
                return .joined(result, grant, generation: generation)
            } catch {
                return .refused(.unavailable("the channel cannot be subscribed now"))
            }
        } finish: { shard, connection, outcome in
            shard.joined(connection, name, joinID, outcome)
        }
    }

    private func channel(_ name: ChannelName) -> ShardChannel? {
        if let channel = channels[name] { return channel }
        guard let namespace = environment.rules.policy.namespaces[name.namespace] else { return nil }
        let channel = ShardChannel(name: name, namespace: NamespaceTraits(namespace))
        channels[name] = channel
        return channel
    }

    /// Joins without waiting for anybody, where the hub follows the channel and what the client missed is in memory.
    ///
    /// Nothing is between the position and what comes: the hub gives both under the channel's lock. What this shard's inbox
    /// holds from before is part of what the position covers, by its sequence, or of another life of the channel.
    /// - Returns: false if the join must go the long way.
    private func joinAtOnce(
        _ connection: Connection, _ subscription: Subscription, _ position: StreamPosition?
    ) -> Bool {
        let name = subscription.channel.name
        guard let (hubChannel, start) = environment.hub.attachAtOnce(name, self) else { return false }
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
        begin(connection, subscription, result, generation, expiresIn: nil)
        // With others that belong to the same connect, its answer may still wait for one of them.
        if subscription.group == nil, connection.subscriptions[name] === subscription {
            subscription.channel.beginJoin(subscription)
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

    private func joined(_ connection: Connection, _ name: ChannelName, _ joinID: UInt32, _ outcome: JoinOutcome) {
        defer { detachIfUnused(name) }
        guard let subscription = connection.subscriptions[name], subscription.joinID == joinID, !connection.isClosed
        else { return }
        var outcome = outcome
        // The channel outran the join: joining again begins where the channel is then.
        if case .joined(let result, _, _) = outcome, let join = subscription.join,
            !join.isWhole(from: result.position?.offset ?? .max)
        {
            outcome = .refused(.unavailable("the channel was interrupted; subscribe again"))
        }
        switch outcome {
        case .joined(let result, let grant, let generation):
            begin(connection, subscription, result, generation, expiresIn: grant.expiresIn)
        case .refused(let failure):
            // A service that said no knows; one that did not answer in time may have said yes.
            if !failure.isTemporary { subscription.isKnownToHook = false }
            perform(
                connection.session.subscriptionFailed(name, failure, time: environment.clock.time()), connection)
        }
    }

    private func begin(
        _ connection: Connection, _ subscription: Subscription, _ result: SubscribeResult, _ generation: UInt32,
        expiresIn: Duration?
    ) {
        environment.metrics.recovered(result.recovery)
        subscription.startAfter = result.position?.offset ?? 0
        subscription.generation = generation
        perform(
            connection.session.subscribed(
                subscription.channel.name, result, expiresIn: expiresIn, time: environment.clock.time()), connection)
    }

    /// The client has its answer: what was held and is new to it follows, and then messages as they come.
    func follow(_ connection: Connection, _ name: ChannelName) {
        guard let subscription = connection.subscriptions[name], subscription.group == nil,
            let label = connection.session.label(of: name)
        else { return }
        let join = subscription.join
        let namespace = subscription.channel.namespace
        let wantsPresence = namespace.presence && connection.session.wantsPresence(name)
        subscription.isToldChanges =
            wantsPresence || (namespace.joinLeave && connection.session.wantsJoinLeave(name))
        subscription.channel.follow(subscription, label: label)
        for message in join?.held ?? [] {
            let frame = SharedFrame([connection.protocolID.encodeBroadcast(message.publication, label: label)])
            if deliver(message, frame, to: subscription) {
                environment.metrics.sent(.publication, bytes: frame.count)
            }
        }
        if (namespace.presence || namespace.joinLeave) && connection.isPresent {
            environment.presence.join(name, connection.session.info)
        }
        // After its own join, so that it finds itself there.
        if wantsPresence {
            send(.members(channel: label, environment.presence.members(of: name)), to: connection)
        }
        if let join, join.interruptedBy != 0 { interrupt(subscription, join.interruptedBy) }
    }

    /// Asks the hook again whether the client may stay on the channel.
    func renew(_ connection: Connection, _ name: ChannelName) {
        guard let joinID = connection.subscriptions[name]?.joinID else { return }
        let backend = environment.backend
        let caller = connection.session.caller
        let trace = connection.trace
        spawn(connection) { () -> Result<SubscribeGrant, ClientFailure> in
            do throws(ClientFailure) {
                return .success(try await backend.mayJoin(name, caller, isRenewal: true, trace: trace))
            } catch {
                return .failure(error)
            }
        } finish: { shard, connection, answer in
            // It may have left in the meantime, and even come again.
            guard connection.subscriptions[name]?.joinID == joinID, !connection.isClosed else { return }
            let time = shard.environment.clock.time()
            switch answer {
            case .success(let grant): shard.perform(connection.session.renewed(name, grant, time: time), connection)
            case .failure(let failure):
                shard.perform(connection.session.renewalFailed(name, failure, time: time), connection)
            }
        }
    }

    /// - Parameter lingers: whether the client may be back in a moment, so that nobody is told yet.
    func leave(_ subscription: Subscription, _ reason: LeaveReason, lingers: Bool = false) {
        let connection = subscription.connection
        let channel = subscription.channel
        guard connection.subscriptions[channel.name] === subscription else { return }
        connection.subscriptions.remove(channel.name)
        let followed = subscription.group != nil
        channel.remove(subscription)
        environment.metrics.unsubscribed(connection.protocolID)
        connection.lastCommandAt = environment.clock.moment()
        if subscription.isKnownToHook {
            environment.backend.tellLeft(channel.name, connection.session.caller, reason: reason)
        }
        if followed, connection.isPresent, channel.namespace.presence || channel.namespace.joinLeave {
            environment.presence.leave(
                channel.name, client: connection.session.client.description, lingers: lingers || subscription.lingers)
        }
        if channel.isEmpty {
            channels[channel.name] = nil
            environment.hub.detach(channel.name, self, now: environment.clock.moment())
        }
    }

    /// A join or a look at history made the hub send the channel's messages here; nobody may want them any more.
    func detachIfUnused(_ name: ChannelName) {
        if channels[name] == nil { environment.hub.detach(name, self, now: environment.clock.moment()) }
    }

    /// Messages of the channel are lost for good: clients must know, and begin anew.
    func interrupt(_ name: ChannelName, _ generation: UInt32) {
        guard let channel = channels[name] else { return }
        // Whether these are of an earlier life shows when their join is done.
        for subscription in channel.joining { subscription.join?.interruptedBy = generation }
        for subscription in channel.groups.flatMap(\.members) { interrupt(subscription, generation) }
    }

    private func interrupt(_ subscription: Subscription, _ generation: UInt32) {
        if subscription.generation != generation { beginAnew(subscription) }
    }

    /// Messages of the channel came faster than this shard takes them, and some were dropped: the log has them.
    func outran(_ name: ChannelName) {
        guard let channel = channels[name] else { return }
        for subscription in channel.joining { subscription.join?.isOutrun = true }
        for subscription in channel.groups.flatMap(\.members) { beginAnew(subscription) }
    }

    /// Ends a subscription whose continuity is broken, so that its client begins anew.
    private func beginAnew(_ subscription: Subscription) {
        let connection = subscription.connection
        subscription.lingers = true
        perform(connection.session.unsubscribe(subscription.channel.name, .insufficientState), connection)
    }
}
