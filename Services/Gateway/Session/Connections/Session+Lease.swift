package import Events
package import GatewayWire
internal import Identity

/// How long a subscription may stay without being renewed.
enum SubscriptionLease: Sendable, Equatable {
    /// Until its token ends; the client sends a new one.
    case token(endsAt: Timestamp)
    /// For a time that a hook gave, which is asked again before the end.
    case hook(endsAt: Timestamp, asksAt: Timestamp, isAsking: Bool)
}

extension Session {
    // MARK: Tokens for one channel

    enum PermitError: Error {
        case expired
        case invalid
    }

    /// Checks a token that should let this connection on `channel`.
    func permit(_ token: String, for channel: ChannelName, time: Timestamp) -> Result<SubscriptionToken, PermitError> {
        let permit: SubscriptionToken
        do throws(IdentityError) {
            permit = try rules.verifySubscription(token, time)
        } catch {
            return .failure(error.isExpired ? .expired : .invalid)
        }
        // Somebody else's token, or one for another channel, is as good as a forged one.
        guard (try? ChannelName(permit.channel)) == channel, permit.user == identity.user else {
            return .failure(.invalid)
        }
        if let end = permit.expiresAt, end <= time { return .failure(.expired) }
        return .success(permit)
    }

    mutating func refreshSubscription(
        _ channel: ChannelName, _ token: String, _ reference: CommandReference, time: Timestamp
    ) -> [SessionAction] {
        guard entries[channel]?.isLive == true else { return fail(reference, .permissionDenied) }
        switch permit(token, for: channel, time: time) {
        case .failure(.expired): return fail(reference, .tokenExpired)
        case .failure(.invalid): return close(.invalidToken)
        case .success(let permit):
            let answer = SessionAction.send(
                .subscriptionRefreshed(Session.expiry(permit.expiresAt, time), reference))
            guard let end = permit.expiresAt else {
                entries.change(channel) { $0.lease = nil }
                return [answer]
            }
            entries.change(channel) { $0.lease = .token(endsAt: end) }
            return [answer, .look(channel, at: end.advanced(by: rules.expiry.tokenGrace))]
        }
    }

    // MARK: Leases

    /// The subscription is there: from now on its time runs.
    mutating func beginLease(
        _ channel: ChannelName, _ result: SubscribeResult, expiresIn: Duration?, time: Timestamp
    ) -> (SubscribeResult, [SessionAction]) {
        var result = result
        if let data = entries[channel]?.data { result.data = data }
        if case .token(let end)? = entries[channel]?.lease {
            if case .after(let seconds) = Session.expiry(end, time) { result.expiresIn = seconds }
            return (result, [.look(channel, at: end.advanced(by: rules.expiry.tokenGrace))])
        }
        return (result, expiresIn.map { leaseByHook(channel, for: $0, time: time) } ?? [])
    }

    private mutating func leaseByHook(
        _ channel: ChannelName, for length: Duration, time: Timestamp
    ) -> [SessionAction] {
        let lead = min(rules.expiry.hookLead, length / 2)
        let asksAt = time.advanced(by: length - lead)
        entries.change(channel) { $0.lease = .hook(endsAt: time.advanced(by: length), asksAt: asksAt, isAsking: false) }
        return [.look(channel, at: asksAt)]
    }

    /// A moment that was asked for by ``SessionAction/look(_:at:)`` has come. It may be early, since moments go by another
    /// clock than the time of day, which is set now and then: the client is looked at again.
    package mutating func subscriptionDeadlineReached(_ channel: ChannelName, time: Timestamp) -> [SessionAction] {
        switch entries[channel]?.lease {
        case nil: return []
        case .token(let end)?:
            let last = end.advanced(by: rules.expiry.tokenGrace)
            return last <= time ? unsubscribe(channel, .expired) : [.look(channel, at: last)]
        case .hook(let end, let asksAt, let isAsking)?:
            guard end.advanced(by: rules.expiry.hookGrace) > time else { return unsubscribe(channel, .expired) }
            // What comes of the question sets the next look.
            if isAsking { return [] }
            guard asksAt <= time else { return [.look(channel, at: asksAt)] }
            entries.change(channel) { $0.lease = .hook(endsAt: end, asksAt: asksAt, isAsking: true) }
            return [.renew(channel)]
        }
    }

    /// The hook lets the client stay; what it says about data is for new subscriptions only.
    package mutating func renewed(
        _ channel: ChannelName, _ grant: SubscribeGrant, time: Timestamp
    ) -> [SessionAction] {
        guard case .hook(_, _, true)? = entries[channel]?.lease else { return [] }
        entries.change(channel) { $0.lease = nil }
        return grant.expiresIn.map { leaseByHook(channel, for: $0, time: time) } ?? []
    }

    /// The hook does not let the client stay, or could not be asked: then the client stays until the grace is over, and
    /// the hook is asked again and again.
    package mutating func renewalFailed(
        _ channel: ChannelName, _ failure: ClientFailure, time: Timestamp
    ) -> [SessionAction] {
        guard case .hook(let end, _, true)? = entries[channel]?.lease else { return [] }
        guard failure.isTemporary else { return unsubscribe(channel, .expired) }
        let last = end.advanced(by: rules.expiry.hookGrace)
        guard time < last else { return unsubscribe(channel, .expired) }
        let next = min(time.advanced(by: ExpiryRules.retryInterval), last)
        entries.change(channel) { $0.lease = .hook(endsAt: end, asksAt: next, isAsking: false) }
        return [.look(channel, at: next)]
    }
}
