package import Events
internal import GatewayWire
internal import Identity

/// Becoming somebody, and staying it.
extension Session {
    mutating func connect(
        _ command: ConnectCommand, _ reference: CommandReference, addressed: [SubscribeCommand] = [], time: Timestamp
    ) -> [SessionAction] {
        if let token = command.token {
            do throws(IdentityError) {
                identity = try rules.verify(token, time)
            } catch {
                if error.isExpired, manner == .commands { return fail(reference, .tokenExpired) }
                return close(error.isExpired ? .expired : .invalidToken)
            }
        } else if !rules.allowsAnonymous {
            return manner == .commands ? fail(reference, .unauthorized) : close(.authenticationRequired)
        }
        var actions: [SessionAction] = [.authenticated]
        if let end = connectionEnd { actions.append(.expire(at: end)) }
        var connecting = Connecting(reference: reference)
        for subscribe in manner == .commands ? ownChannel(command) : addressed {
            switch admit(subscribe, time: time) {
            case .refuse(let failure):
                // A channel that the server adds and cannot is left out; one that the address names ends the connection.
                if manner == .address {
                    return actions + limited(failure) + close(Session.disconnect(for: failure))
                }
            case .disconnect(let disconnect): return actions + close(disconnect)
            case .join(let channel, let asksHook, let lease):
                entries.insert(Entry(channel, subscribe, reference: nil, lease: lease))
                connecting.awaited.append(channel)
                actions.append(
                    .join(channel, from: subscribe.recoverFrom, asksHook: asksHook, data: subscribe.data))
            }
        }
        if connecting.awaited.isEmpty { return actions + open(connecting, time: time) }
        phase = .connecting(connecting)
        return actions
    }

    /// The channel that every connection of a user is on without asking.
    private func ownChannel(_ command: ConnectCommand) -> [SubscribeCommand] {
        guard let user = identity.user, let channel = try? ChannelName(namespace: "user", name: user),
            rules.policy.namespaces["user"] != nil
        else { return [] }
        let label = channel.description
        let position = command.subscriptions.first { $0.channel == label }?.recoverFrom
        return [SubscribeCommand(channel: label, recoverFrom: position)]
    }

    /// Everything that belongs to the connect is there.
    mutating func open(_ connecting: Connecting, time: Timestamp) -> [SessionAction] {
        phase = .open
        let follows = connecting.ready.map { SessionAction.follow($0.channel) }
        switch manner {
        case .address, .handshake: return [.opened(connecting.ready)] + follows
        case .commands:
            let result = ConnectResult(
                client: client.description, version: rules.version, expiry: expiry(time),
                pingInterval: Int(rules.pingInterval.components.seconds),
                subscriptions: Dictionary(
                    connecting.ready.map { ($0.label, $0.result) }, uniquingKeysWith: { first, _ in first }),
                session: sessionID.description, node: rules.node)
            return [.send(.connected(result, connecting.reference))] + follows
        }
    }

    func expiry(_ time: Timestamp) -> ConnectionExpiry { Session.expiry(identity.expiresAt, time) }

    static func expiry(_ end: Timestamp?, _ time: Timestamp) -> ConnectionExpiry {
        guard let end else { return .never }
        return .after(seconds: max(0, Int(clamping: end.seconds - time.seconds)))
    }

    /// When the connection is closed unless it gets a new token.
    var connectionEnd: Timestamp? {
        identity.expiresAt.map { manner != .address ? $0.advanced(by: rules.expiry.tokenGrace) : $0 }
    }

    mutating func refresh(_ token: String, _ reference: CommandReference, time: Timestamp) -> [SessionAction] {
        if manner == .handshake { return identify(token, reference, time: time) }
        let refreshed: Identity
        do throws(IdentityError) {
            refreshed = try rules.verify(token, time)
        } catch {
            return error.isExpired ? fail(reference, .tokenExpired) : close(.invalidToken)
        }
        // A connection stays who it is: another user's token would keep this one's subscriptions.
        guard refreshed.user == identity.user else { return close(.invalidToken) }
        identity = refreshed
        var actions: [SessionAction] = [.send(.refreshed(expiry(time), reference))]
        if let end = connectionEnd { actions.append(.expire(at: end)) }
        return actions
    }

    /// A deadline that was asked for by ``SessionAction/expire(at:)`` has come.
    package mutating func deadlineReached(time: Timestamp) -> [SessionAction] {
        guard let end = connectionEnd, end <= time, isAuthenticated else { return [] }
        return close(.expired)
    }
}
