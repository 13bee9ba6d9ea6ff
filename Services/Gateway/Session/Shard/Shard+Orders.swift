internal import Events
internal import GatewayWire
internal import Identity
internal import JSON

/// What backends order for connections, and what they ask about all of them.
extension Shard {
    /// Does it for those connections of this shard that it is for.
    /// - Returns: how many they are.
    package func obey(_ order: ControlOrder, for selection: ConnectionSelection) -> Int {
        let selection = ConnectionMatcher(selection)
        let concerned = connections.values.filter { connection in
            let session = connection.session
            return !connection.isClosed && session.isAuthenticated
                && selection.includes(
                    user: session.identity.user, client: session.client, session: session.sessionID)
        }
        let time = environment.clock.time()
        for connection in concerned { obey(order, connection, time) }
        flushDirty()
        return concerned.count
    }

    private func obey(_ order: ControlOrder, _ connection: Connection, _ time: Timestamp) {
        switch order {
        case .disconnect(let disconnect): perform(connection.session.close(disconnect), connection)
        case .unsubscribe(let channel):
            for channel in channel.map({ [$0] }) ?? connection.session.channels {
                perform(connection.session.unsubscribe(channel, .server), connection)
            }
        case .subscribe(let channel, let position, let data):
            // Where a protocol has no words for it, messages of a channel that the client does not know would come.
            guard connection.protocolID.knowsServerSubscriptions else { return }
            let command = SubscribeCommand(
                channel: channel.description, recoverFrom: position, data: data?.serialized())
            perform(connection.session.subscribeByServer(command), connection)
        case .refresh(let end):
            perform(connection.session.refreshByServer(expiresAt: end, time: time), connection)
        }
    }

    /// How many connections and subscriptions there are.
    package var load: (clients: Int, subscriptions: Int) {
        (connections.count, connections.values.reduce(0) { $0 + $1.subscriptions.count })
    }

    /// The channels here whose names `pattern` fits (nil is all), with their subscribers.
    package func channelCounts(_ pattern: ChannelPattern?) -> [String: Int] {
        var counts: [String: Int] = [:]
        for channel in channels.values {
            let name = channel.name.description
            let count = channel.groups.reduce(0) { $0 + $1.members.count }
            if count > 0, pattern?.matches(name) ?? true { counts[name] = count }
        }
        return counts
    }
}
