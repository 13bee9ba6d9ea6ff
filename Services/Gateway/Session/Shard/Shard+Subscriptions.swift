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
        guard let namespace = environment.rules.policy.namespaces[name.namespace] else { return }
        let channel = channels[name] ?? ShardChannel(name: name, namespace: namespace)
        channels[name] = channel
        let subscription = Subscription(
            connection: connection, channel: channel, joinID: makeNumber(), isKnownToHook: asksHook)
        channel.joining.append(subscription)
        connection.subscriptions[name] = subscription
        environment.metrics.subscribed(connection.protocolID)
        let joinID = subscription.joinID
        let hub = environment.hub
        let backend = environment.backend
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
                    hub, hubChannel, position, start: start, client: caller.client)
                result.data = grant.data
                return .joined(result, grant, generation: generation)
            } catch {
                return .refused(.unavailable("the channel cannot be subscribed now"))
            }
        } finish: { shard, connection, outcome in
            shard.joined(connection, name, joinID, outcome)
        }
    }

    /// Where the subscription begins, in which of the channel's lives, and what the client missed before it.
    private static func beginning(
        _ hub: Hub, _ channel: HubChannel, _ position: StreamPosition?,
        start: (position: StreamPosition, generation: UInt32), client: String?
    ) async throws -> (SubscribeResult, generation: UInt32) {
        guard channel.history != nil else { return (SubscribeResult(), start.generation) }
        guard let position else { return (SubscribeResult(position: start.position), start.generation) }
        // As in Centrifuge's protocol, a position without an epoch is one of the present life.
        let epoch = position.epoch.isEmpty ? start.position.epoch : position.epoch
        let recovery = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: position.offset))
        let missed = recovery.messages.filter { $0.excludedClient == nil || $0.excludedClient != client }
        let result = SubscribeResult(
            position: recovery.position, recovery: recovery.outcome, publications: missed.map(\.publication))
        return (result, recovery.generation)
    }

    private func joined(_ connection: Connection, _ name: ChannelName, _ joinID: UInt64, _ outcome: JoinOutcome) {
        defer { detachIfUnused(name) }
        guard let subscription = connection.subscriptions[name], subscription.joinID == joinID, !connection.isClosed
        else { return }
        let time = environment.clock.time()
        var outcome = outcome
        // The channel outran the join: joining again begins where the channel is then.
        if case .joined(let result, _, _) = outcome, !subscription.isWhole(from: result.position?.offset ?? .max) {
            outcome = .refused(.unavailable("the channel was interrupted; subscribe again"))
        }
        switch outcome {
        case .joined(let result, let grant, let generation):
            environment.metrics.recovered(result.recovery)
            subscription.startAfter = result.position?.offset ?? 0
            subscription.generation = generation
            perform(
                connection.session.subscribed(name, result, expiresIn: grant.expiresIn, time: time), connection)
        case .refused(let failure):
            // A service that said no knows; one that did not answer in time may have said yes.
            if !failure.isTemporary { subscription.isKnownToHook = false }
            perform(connection.session.subscriptionFailed(name, failure, time: time), connection)
        }
    }

    /// The client has its answer: what was held and is new to it follows, and then messages as they come.
    func follow(_ connection: Connection, _ name: ChannelName) {
        guard let subscription = connection.subscriptions[name], let label = connection.session.label(of: name),
            let held = subscription.release()
        else { return }
        let namespace = subscription.channel.namespace
        let wantsPresence = namespace.presence && connection.session.wantsPresence(name)
        subscription.isToldChanges =
            wantsPresence || (namespace.joinLeave && connection.session.wantsJoinLeave(name))
        subscription.channel.follow(subscription, label: label)
        for message in held {
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
        if subscription.interruptedBy != 0 { interrupt(subscription, subscription.interruptedBy) }
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
        connection.subscriptions[channel.name] = nil
        channel.remove(subscription)
        environment.metrics.unsubscribed(connection.protocolID)
        connection.lastCommandAt = environment.clock.moment()
        if subscription.isKnownToHook {
            environment.backend.tellLeft(channel.name, connection.session.caller, reason: reason)
        }
        if subscription.held == nil, connection.isPresent, channel.namespace.presence || channel.namespace.joinLeave {
            environment.presence.leave(
                channel.name, client: connection.session.client, lingers: lingers || subscription.lingers)
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
        for subscription in channel.joining { subscription.interruptedBy = generation }
        for subscription in channel.groups.flatMap(\.members) { interrupt(subscription, generation) }
    }

    private func interrupt(_ subscription: Subscription, _ generation: UInt32) {
        if subscription.generation != generation { beginAnew(subscription) }
    }

    /// Messages of the channel came faster than this shard takes them, and some were dropped: the log has them.
    func outran(_ name: ChannelName) {
        guard let channel = channels[name] else { return }
        for subscription in channel.joining { subscription.isOutrun = true }
        for subscription in channel.groups.flatMap(\.members) { beginAnew(subscription) }
    }

    /// Ends a subscription whose continuity is broken, so that its client begins anew.
    private func beginAnew(_ subscription: Subscription) {
        let connection = subscription.connection
        subscription.lingers = true
        perform(connection.session.unsubscribe(subscription.channel.name, .insufficientState), connection)
    }
}
