package import Events
package import GatewayWire
internal import Identity

/// What a backend orders for connections of a user.
extension Session {
    /// Puts the client on a channel without its asking; the command's data are for the client. Nothing happens if it is there already, or if its protocol has no
    /// words for it.
    package mutating func subscribeByServer(_ command: SubscribeCommand) -> [SessionAction] {
        guard manner == .commands, isOpen, let channel = try? ChannelName(command.channel),
            rules.policy.namespaces[channel.namespace] != nil, entries[channel] == nil
        else { return [] }
        if let limit = rules.limits.channelsPerConnection, entries.count >= limit { return [] }
        entries.insert(Entry(channel, command, reference: nil, data: command.data))
        return [.join(channel, from: command.recoverFrom, asksHook: false)]
    }

    /// Gives the connection another end, nil being none, and tells the client.
    package mutating func refreshByServer(expiresAt: Timestamp?, time: Timestamp) -> [SessionAction] {
        guard isAuthenticated, phaseIsOpen else { return [] }
        identity.expiresAt = expiresAt
        var actions: [SessionAction] = [.send(.refreshedByServer(expiry(time)))]
        if let end = connectionEnd { actions.append(.expire(at: end)) }
        return actions
    }

    private var phaseIsOpen: Bool { if case .closed = phase { false } else { true } }
}
