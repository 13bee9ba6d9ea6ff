internal import Events
internal import GatewayWire

/// The hot path: what came for a channel goes to everybody on it.
extension Shard {
    /// Gives messages of one channel, in order, to its subscribers. They are encoded once for each group, whose members
    /// share the same bytes; those who can take all of them get them as one piece.
    func fanOut(_ message: ChannelMessage, _ others: [ChannelMessage] = [], _ channel: ShardChannel) {
        if !channel.joining.isEmpty {
            for subscription in channel.joining {
                subscription.join?.hold(message)
                for message in others { subscription.join?.hold(message) }
            }
        }
        for group in channel.groups {
            if others.isEmpty, let only = group.members.only {
                deliver(message, of: group, to: only)
                continue
            }
            var burst = Burst(message, others, for: group)
            var count = 0
            for subscription in group.members { count += deliver(&burst, to: subscription) }
            environment.metrics.sent(.publication, count: count, bytes: count * burst.averageBytes)
        }
    }

    /// - Returns: how many of the messages were queued for the client.
    private func deliver(_ burst: inout Burst, to subscription: Subscription) -> Int {
        let connection = subscription.connection
        if burst.isWhole(for: subscription), hasRoom(for: burst.frame.count, on: connection) {
            connection.transport.write(burst.frame)
            markDirty(connection)
            return burst.count
        }
        var count = 0
        for index in 0..<burst.count where deliver(burst[index], burst.single(index), to: subscription) { count += 1 }
        return count
    }

    /// One message for the only subscriber, as it is on most channels: there is nothing to be shared.
    private func deliver(_ message: ChannelMessage, of group: SubscriberGroup, to only: Subscription) {
        let connection = only.connection
        let bytes = group.encode(message)
        if message.excludedClient == nil, only.takesAll(from: message.sequence, ofLife: message.generation),
            hasRoom(for: bytes.count, on: connection)
        {
            connection.transport.write(bytes)
            markDirty(connection)
        } else if !deliver(message, SharedFrame(bytes), to: only) {
            return
        }
        environment.metrics.sent(.publication, bytes: bytes.count)
    }

    /// Whether the client reads so fast that so many bytes of messages would meet no bound.
    private func hasRoom(for count: Int, on connection: Connection) -> Bool {
        let limit = environment.rules.limits.outboundBytes
        return limit == 0 || connection.transport.outstandingBytes + count <= limit / 2
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
        switch room(for: subscription) {
        case .free: write(message, frame, subscription)
        case .backlog:
            keep(message, subscription)
            return false
        case .full:
            perform(connection.session.close(.slow), connection)
            return false
        case .answered: return false
        }
        return true
    }

    private func write(_ message: ChannelMessage, _ frame: SharedFrame, _ subscription: Subscription) {
        let connection = subscription.connection
        if connection.extras?.cursor != nil, let label = subscription.group?.label {
            moveCursor(of: connection, label, to: message.sequence)
        }
        connection.transport.write(frame)
        markDirty(connection)
    }

    // MARK: Slow readers

    /// Whether a client can take one more message of a channel.
    private enum Room {
        case free
        /// It goes into the backlog, or behind what is there.
        case backlog
        /// The client must come back and continue from the log.
        case full
        /// A poll has what its answer can hold; the next one continues from the log.
        case answered
    }

    private func room(for subscription: Subscription) -> Room {
        let limit = environment.rules.limits.outboundBytes
        guard limit > 0 else { return .free }
        let connection = subscription.connection
        var waiting = connection.transport.outstandingBytes
        if waiting > limit / 2 {
            // What is only queued for the end of this turn says nothing about the client.
            connection.transport.flush()
            waiting = connection.transport.outstandingBytes
        }
        if connection.protocolID == .longPolling { return waiting > limit ? .answered : .free }
        if subscription.backlog != nil { return .backlog }
        if subscription.channel.namespace.slow != .disconnect { return waiting > limit / 2 ? .backlog : .free }
        return waiting > limit + connection.allowance ? .full : .free
    }

    /// Whether something that concerns the connection alone, such as a reply, may be queued for it.
    func hasRoom(_ connection: Connection) -> Bool {
        let limit = environment.rules.limits.outboundBytes
        return limit == 0 || connection.transport.outstandingBytes <= limit + connection.allowance
    }

    private func keep(_ message: ChannelMessage, _ subscription: Subscription) {
        let policy = subscription.channel.namespace.slow
        if subscription.backlog == nil { subscription.backlog = Backlog(policy: policy) }
        if subscription.backlog?.append(message) == true { environment.metrics.dropped(policy) }
    }

    /// Gives a client that reads again what waited for it, as much as it can take, after telling it how much was left out.
    func releaseBacklogs(_ connection: Connection) {
        let limit = environment.rules.limits.outboundBytes
        for subscription in connection.subscriptions.elements {
            guard let group = subscription.group else { continue }
            while subscription.backlog != nil, !connection.isClosed {
                if limit > 0, connection.transport.outstandingBytes > limit / 2 { return }
                guard let (dropped, message) = subscription.backlog?.next() else { break }
                if dropped > 0 { send(.dropped(channel: group.label, count: dropped), to: connection) }
                let frame = SharedFrame(group.encode(message))
                environment.metrics.sent(.publication, bytes: frame.count)
                write(message, frame, subscription)
            }
            if subscription.backlog?.isEmpty == true { subscription.backlog = nil }
        }
    }
}
