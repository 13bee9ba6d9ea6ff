internal import Events
internal import GatewayWire

/// The hot path: one message to everybody on its channel.
extension Shard {
    /// Encodes the message once for each group and queues the same bytes for all of its members.
    func fanOut(_ message: ChannelMessage, _ channel: ShardChannel) {
        for subscription in channel.joining { hold(message, for: subscription) }
        for group in channel.groups {
            let frame = SharedFrame(group.protocolID.encodeBroadcast(message.publication, label: group.label))
            var count = 0
            for subscription in group.members where deliver(message, frame, to: subscription) { count += 1 }
            environment.metrics.sent(.publication, count: count, bytes: count * frame.bytes.count)
        }
    }

    /// How many messages wait for a join that is under way, while its hook takes its time.
    private static let maximumHeld = 4096

    /// Beyond the bound the join fails, and its client is told to try again.
    private func hold(_ message: ChannelMessage, for subscription: Subscription) {
        guard let count = subscription.held?.count else { return }
        guard count >= Shard.maximumHeld else {
            subscription.held?.append(message)
            return
        }
        let connection = subscription.connection
        let failure = ClientFailure.unavailable("messages come faster than the channel can be joined; try again")
        perform(
            connection.session.subscriptionFailed(
                subscription.channel.name, failure, time: environment.clock.time()), connection)
    }

    /// - Returns: whether it was queued for the client.
    func deliver(_ message: ChannelMessage, _ frame: SharedFrame, to subscription: Subscription) -> Bool {
        // The client has it already when it was part of what the client recovered.
        if message.sequence != 0, message.sequence <= subscription.startAfter { return false }
        // Of another life of the channel: the subscription is told of the interruption instead.
        guard message.generation == subscription.generation else { return false }
        let connection = subscription.connection
        guard !connection.isClosed else { return false }
        if let excluded = message.excludedClient, excluded == connection.session.client { return false }
        let limit = environment.rules.limits.outboundBytes
        if limit > 0 {
            let waiting = connection.transport.outstandingBytes
            if subscription.backlog != nil
                || (subscription.channel.namespace.slow != .disconnect && waiting > limit / 2)
            {
                keep(message, subscription)
                return false
            }
            if waiting > limit {
                environment.metrics.dropped(.disconnect)
                perform(connection.session.close(.slow), connection)
                return false
            }
        }
        write(message, frame, subscription)
        return true
    }

    private func write(_ message: ChannelMessage, _ frame: SharedFrame, _ subscription: Subscription) {
        let connection = subscription.connection
        if connection.cursor != nil, let label = subscription.group?.label {
            if message.sequence != 0 { connection.cursor?[label]?.offset = message.sequence }
            if let cursor = connection.cursor, !cursor.positions.isEmpty {
                connection.transport.write(ServerSentEvents.idLine(cursor))
            }
        }
        connection.transport.write(frame)
        markDirty(connection)
    }

    // MARK: Slow readers

    private func keep(_ message: ChannelMessage, _ subscription: Subscription) {
        let policy = subscription.channel.namespace.slow
        if subscription.backlog == nil { subscription.backlog = Backlog(policy: policy) }
        if subscription.backlog?.append(message) == true { environment.metrics.dropped(policy) }
    }

    /// Gives a client that reads again what waited for it, after telling it how much was left out.
    func releaseBacklogs(_ connection: Connection) {
        for subscription in connection.subscriptions.values {
            guard let backlog = subscription.backlog, let group = subscription.group else { continue }
            subscription.backlog = nil
            if backlog.dropped > 0 { send(.dropped(channel: group.label, count: backlog.dropped), to: connection) }
            for message in backlog.waiting {
                let frame = SharedFrame(group.protocolID.encodeBroadcast(message.publication, label: group.label))
                environment.metrics.sent(.publication, bytes: frame.bytes.count)
                write(message, frame, subscription)
            }
        }
    }
}
