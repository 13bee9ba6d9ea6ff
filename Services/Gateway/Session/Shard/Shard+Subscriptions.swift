internal import DequeModule
internal import Events
internal import GatewayWire

/// Following channels and leaving them.
extension Shard {
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
            let frame = SharedFrame(connection.protocolID.encodeBroadcast(message.publication, label: label))
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
            environment.hub.detach(channel.name, channel, now: environment.clock.moment())
        }
    }

    /// A join had the hub send the channel's messages here; nobody may want them any more.
    func detachIfUnused(_ channel: ShardChannel) {
        guard channels[channel.name] !== channel else { return }
        environment.hub.detach(channel.name, channel, now: environment.clock.moment())
    }

    /// Messages of the channel are lost for good: clients must know, and begin anew.
    func interrupt(_ channel: ShardChannel, _ generation: UInt32) {
        // Whether these are of an earlier life shows when their join is done.
        for subscription in channel.joining { subscription.join?.interruptedBy = generation }
        for subscription in channel.groups.flatMap(\.members) { interrupt(subscription, generation) }
    }

    private func interrupt(_ subscription: Subscription, _ generation: UInt32) {
        if subscription.generation != generation { beginAnew(subscription) }
    }

    /// Messages of the channel came faster than this shard takes them, and some were dropped: the log has them.
    func outran(_ channel: ShardChannel) {
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
