package import Events
package import GatewayWire
internal import Identity

/// Coming onto channels and going from them.
extension Session {
    mutating func subscribe(
        _ command: SubscribeCommand, _ reference: CommandReference, time: Timestamp
    ) -> [SessionAction] {
        var before: [SessionAction] = []
        if let token = command.connectionToken {
            do throws(ClientFailure) {
                before = try adopt(token, time: time)
            } catch {
                return fail(reference, error)
            }
        }
        if let replaced = command.replacing, let channel = try? ChannelName(command.channel),
            let label = entries[channel]?.label
        {
            before += unsubscribe(channel) + [.send(.unsubscribed(channel: label, replaced))]
        }
        switch admit(command, time: time) {
        case .refuse(let failure): return before + limited(failure) + fail(reference, failure)
        case .disconnect(let disconnect): return before + close(disconnect)
        case .join(let channel, let asksHook, let lease):
            entries.insert(Entry(channel, command, reference: reference, lease: lease))
            return before
                + [.join(channel, from: command.recoverFrom, asksHook: asksHook, data: command.data)]
        }
    }

    enum Admission {
        case join(ChannelName, asksHook: Bool, SubscriptionLease?)
        case refuse(ClientFailure)
        case disconnect(Disconnect)
    }

    func admit(_ command: SubscribeCommand, time: Timestamp) -> Admission {
        let maximum = rules.limits.channelNameBytes
        let channel: ChannelName
        do throws(ChannelName.Invalid) {
            channel = try ChannelName(command.channel)
        } catch {
            let isTooLong = error == .nameLength && command.channel.utf8.count > ChannelName.maximumNameLength
            return .refuse(isTooLong ? .channelNameTooLong(maximum: maximum) : .unknownChannel)
        }
        guard channel.nameBytes.count <= maximum else { return .refuse(.channelNameTooLong(maximum: maximum)) }
        guard let namespace = rules.policy.namespaces[channel.namespace] else { return .refuse(.unknownChannel) }
        guard entries[channel] == nil else { return .refuse(.alreadySubscribed) }
        if let limit = rules.limits.channelsPerConnection, entries.count >= limit { return .refuse(.limitExceeded) }
        if let token = command.token {
            switch permit(token, for: channel, time: time) {
            case .success(let permit):
                return .join(channel, asksHook: false, permit.expiresAt.map { .token(endsAt: $0) })
            case .failure(.expired): return .refuse(.tokenExpired)
            case .failure: return .disconnect(.invalidToken)
            }
        }
        switch rules.policy.subscribe(channel, namespace, identity) {
        case .allow: return .join(channel, asksHook: false, nil)
        case .askHook: return .join(channel, asksHook: true, nil)
        case .deny: return .refuse(.permissionDenied)
        case .authenticationRequired: return .refuse(manner == .address ? .unauthorized : .permissionDenied)
        }
    }

    /// A ``SessionAction/join(_:from:asksHook:)`` succeeded.
    /// - Parameter channel: the copy of the name that all who are on the channel keep.
    package mutating func subscribed(
        _ channel: ChannelName, _ result: SubscribeResult, expiresIn: Duration? = nil, time: Timestamp
    ) -> [SessionAction] {
        guard let entry = entries[channel], !entry.isLive, !isClosed else { return [.leave(channel)] }
        entries.change(channel) { entry in
            entry.channelName = channel
            entry.isLive = true
        }
        let (result, looks) = beginLease(channel, result, expiresIn: expiresIn, time: time)
        return answerSubscribed(channel, entry, result, time: time) + looks
    }

    private mutating func answerSubscribed(
        _ channel: ChannelName, _ entry: Entry, _ result: SubscribeResult, time: Timestamp
    ) -> [SessionAction] {
        if let reference = entry.reference {
            entries.change(channel) { $0.early = [] }
            return [.send(.subscribed(channel: entry.label, result, reference)), .follow(channel)]
                + entry.early.flatMap { publish(channel, $0.command, $0.reference) }
        }
        guard case .connecting(var connecting) = phase, let index = connecting.awaited.firstIndex(of: channel) else {
            return [.send(.subscribedByServer(channel: entry.label, result)), .follow(channel)]
        }
        connecting.awaited.remove(at: index)
        connecting.ready.append(OpenedChannel(channel: channel, label: entry.label, result: result))
        if connecting.awaited.isEmpty { return open(connecting, time: time) }
        phase = .connecting(connecting)
        return []
    }

    package mutating func subscriptionFailed(
        _ channel: ChannelName, _ failure: ClientFailure, time: Timestamp
    ) -> [SessionAction] {
        guard let entry = entries.remove(channel) else { return [] }
        if let reference = entry.reference {
            return [.leave(channel)] + fail(reference, failure)
                + refuseEarly(entry)
        }
        guard case .connecting(let connecting) = phase else { return [.leave(channel)] }
        // Without its channels a connection would be there and hear nothing; better that it comes back.
        if manner == .address { return close(Session.disconnect(for: failure)) }
        phase = .awaitingConnect
        let leaves = channels.map { SessionAction.leave($0) } + [.leave(channel)]
        entries.removeAll()
        return leaves + fail(connecting.reference, failure.isTemporary ? failure : .internal)
    }

    mutating func unsubscribe(_ channel: ChannelName) -> [SessionAction] {
        guard let entry = entries.remove(channel) else { return [] }
        return [.leave(channel)] + refuseEarly(entry)
    }

    /// The server ends a subscription.
    package mutating func unsubscribe(_ channel: ChannelName, _ reason: UnsubscribeReason) -> [SessionAction] {
        guard let entry = entries[channel] else { return [] }
        guard entry.isLive else {
            // A connect that waits for the channel goes on; a client's own command is answered.
            guard let reference = entry.reference else { return [] }
            entries.remove(channel)
            return [.leave(channel, reason: .server)] + fail(reference, .permissionDenied)
                + refuseEarly(entry)
        }
        entries.remove(channel)
        let leave = SessionAction.leave(channel, reason: reason == .expired ? .expired : .server)
        // Clients do not subscribe again to what they never asked for; they come back to it by connecting anew.
        if reason == .insufficientState, manner == .commands, entry.reference == nil {
            return [leave] + close(.insufficientState)
        }
        guard manner != .address || (reason != .insufficientState && !entries.isEmpty) else {
            // Nothing is left of what the address asked for.
            return [leave] + close(reason == .insufficientState ? .insufficientState : .permissionDenied)
        }
        return [leave, .send(.unsubscribedByServer(channel: entry.label, reason))]
    }
}
