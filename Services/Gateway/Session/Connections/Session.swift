package import Events
package import GatewayWire
package import Identity

/// What one connection is and may do: a state machine without sockets, clock, bus or protocol.
///
/// Inputs are what the client sent and what became of earlier actions; each returns the actions that follow from it.
package struct Session: Sendable {
    enum Phase {
        /// Nothing but a connect is understood.
        case awaitingConnect
        /// Who it is is known; the subscriptions that belong to the connect are being made.
        case connecting(Connecting)
        case open
        case closed
    }

    struct Connecting {
        var reference: CommandReference
        var awaited: Set<ChannelName>
        var ready: [OpenedChannel] = []
    }

    struct Entry {
        /// The channel's name as the client wrote it.
        var label: String
        var wantsJoinLeave: Bool
        var wantsPresence: Bool
        /// Which command it answers; nil for those that belong to the connect.
        var reference: CommandReference?
        var isLive = false
        /// What a backend that made the subscription has for the client, as JSON text.
        var data: [UInt8]?
        /// What must happen for it to stay; nil is nothing.
        var lease: SubscriptionLease?
        /// What was published before the subscription was there, by clients whose protocol lets them.
        var early: [(command: PublishCommand, reference: CommandReference)] = []

        init(_ command: SubscribeCommand, reference: CommandReference?, lease: SubscriptionLease? = nil) {
            label = command.label
            wantsJoinLeave = command.wantsJoinLeave
            wantsPresence = command.wantsPresence
            self.reference = reference
            self.lease = lease
        }
    }

    package let client: String
    package let manner: SessionManner
    /// Known to the client and to nobody else but backends, to name one of a user's connections by.
    package let sessionID: String
    package internal(set) var identity = Identity.anonymous
    var phase = Phase.awaitingConnect
    var entries: [ChannelName: Entry] = [:]
    private var rate: TokenBucket?
    private var commandsInFlight = 0
    /// How many refusals for its rate a client may still get before it is disconnected.
    private var patience: TokenBucket
    let rules: SessionRules

    /// A client that goes on sending after so many refusals for its rate is disconnected; each second forgives one.
    package static let maximumRefusals = 200

    package init(client: String, sessionID: String = "", manner: SessionManner, rules: SessionRules, now: Moment) {
        self.client = client
        self.sessionID = sessionID
        self.manner = manner
        self.rules = rules
        patience = TokenBucket(perSecond: 1, burst: Double(Session.maximumRefusals), now: now)
        rate = rules.limits.connectionMessagesPerSecond.map {
            TokenBucket(perSecond: Double($0), burst: Double($0 * 2), now: now)
        }
    }

    package var isOpen: Bool { if case .open = phase { true } else { false } }
    package var isAuthenticated: Bool { if case .awaitingConnect = phase { false } else { true } }
    package var info: ClientInfo { ClientInfo(client: client, user: identity.user ?? "", info: identity.info) }
    package var channels: [ChannelName] { Array(entries.keys) }
    package func label(of channel: ChannelName) -> String? { entries[channel]?.label }
    package func wantsJoinLeave(_ channel: ChannelName) -> Bool { entries[channel]?.wantsJoinLeave ?? false }
    package func wantsPresence(_ channel: ChannelName) -> Bool { entries[channel]?.wantsPresence ?? false }

    // MARK: What the client sends

    package mutating func receive(_ command: ClientCommand, time: Timestamp, now: Moment) -> [SessionAction] {
        if case .closed = phase { return [] }
        if case .pong = command { return [] }
        if let seconds = rate?.take(now: now) {
            return refuse(command, .connectionMessagesPerSecond, retryAfterSeconds: seconds, now: now)
        }
        if case .connect(let connect, let reference) = command {
            guard case .awaitingConnect = phase else { return close(.badRequest) }
            return self.connect(connect, reference, time: time)
        }
        guard isAuthenticated else { return close(.badRequest) }
        return handle(command, time: time)
    }

    /// Refuses a command for a rate, and ends the connection of a client that goes on and on.
    package mutating func refuse(
        _ command: ClientCommand, _ limit: GatewayLimit, retryAfterSeconds seconds: Int, now: Moment
    ) -> [SessionAction] {
        if case .closed = phase { return [] }
        if patience.take(now: now) != nil { return [.limited(limit)] + close(.tooManyRequests) }
        return [.limited(limit)] + fail(command.reference, .tooManyRequests(retryAfterSeconds: seconds))
    }

    /// The connection was opened with an address that says everything.
    package mutating func open(
        token: String?, channels: [SubscribeCommand], time: Timestamp
    ) -> [SessionAction] {
        connect(ConnectCommand(token: token), 1, addressed: channels, time: time)
    }

    private mutating func handle(_ command: ClientCommand, time: Timestamp) -> [SessionAction] {
        switch command {
        case .connect, .pong, .send: return []
        case .subscribe(let subscribe, let reference): return self.subscribe(subscribe, reference, time: time)
        case .unsubscribe(let label, let reference):
            return withChannel(label, reference) { session, channel in
                session.unsubscribe(channel) + [.send(.unsubscribed(channel: label, reference))]
            }
        case .publish(let publish, let reference):
            return withChannel(publish.channel, reference) { session, channel in
                session.publish(channel, publish, reference)
            }
        case .call(let method, let parameters, let reference):
            return begin(reference) { .call(method: method, parameters: parameters, reference) }
        case .presence(let label, let reference):
            return look(.presence, label, reference) { .presence($0, reference) }
        case .presenceStatistics(let label, let reference):
            return look(.presence, label, reference) { .presenceStatistics($0, reference) }
        case .history(let history, let reference):
            return look(.history, history.channel, reference) { .history(history, $0, reference) }
        case .refresh(let token, let reference): return refresh(token, reference, time: time)
        case .subscriptionRefresh(let label, let token, let reference):
            return withChannel(label, reference) { session, channel in
                session.refreshSubscription(channel, token, reference, time: time)
            }
        case .ping(let reference): return [.send(.pong(reference))]
        case .unknown(_, let reference): return fail(reference, .methodNotFound)
        case .malformed(let reason, let reference): return fail(reference, .badRequest(reason))
        }
    }

    // MARK: Connecting

    private mutating func connect(
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
        var connecting = Connecting(reference: reference, awaited: [])
        for subscribe in manner == .commands ? ownChannel(command) : addressed {
            switch admit(subscribe, time: time) {
            case .refuse(let failure):
                // A channel that the server adds and cannot is left out; one that the address names ends the connection.
                if manner == .address {
                    return actions + limited(failure) + close(Session.disconnect(for: failure))
                }
            case .disconnect(let disconnect): return actions + close(disconnect)
            case .join(let channel, let asksHook, let lease):
                entries[channel] = Entry(subscribe, reference: nil, lease: lease)
                connecting.awaited.insert(channel)
                actions.append(
                    .join(channel, from: subscribe.recoverFrom, asksHook: asksHook, data: subscribe.data))
            }
        }
        phase = .connecting(connecting)
        return actions + finishConnecting(time: time)
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

    private mutating func finishConnecting(time: Timestamp) -> [SessionAction] {
        guard case .connecting(let connecting) = phase, connecting.awaited.isEmpty else { return [] }
        phase = .open
        let follows = connecting.ready.map { SessionAction.follow($0.channel) }
        switch manner {
        case .address, .handshake: return [.opened(connecting.ready)] + follows
        case .commands:
            let result = ConnectResult(
                client: client, version: rules.version, expiry: expiry(time),
                pingInterval: Int(rules.pingInterval.components.seconds),
                subscriptions: Dictionary(
                    connecting.ready.map { ($0.label, $0.result) }, uniquingKeysWith: { first, _ in first }),
                session: sessionID, node: rules.node)
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

    private mutating func refresh(_ token: String, _ reference: CommandReference, time: Timestamp) -> [SessionAction] {
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

    // MARK: Subscribing

    private mutating func subscribe(
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
            entries[channel] = Entry(command, reference: reference, lease: lease)
            return before
                + [.join(channel, from: command.recoverFrom, asksHook: asksHook, data: command.data)]
        }
    }

    private enum Admission {
        case join(ChannelName, asksHook: Bool, SubscriptionLease?)
        case refuse(ClientFailure)
        case disconnect(Disconnect)
    }

    private func admit(_ command: SubscribeCommand, time: Timestamp) -> Admission {
        let maximum = rules.limits.channelNameBytes
        let channel: ChannelName
        do throws(ChannelName.Invalid) {
            channel = try ChannelName(command.channel)
        } catch {
            let isTooLong = error == .nameLength && command.channel.utf8.count > ChannelName.maximumNameLength
            return .refuse(isTooLong ? .channelNameTooLong(maximum: maximum) : .unknownChannel)
        }
        guard channel.name.utf8.count <= maximum else { return .refuse(.channelNameTooLong(maximum: maximum)) }
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
    package mutating func subscribed(
        _ channel: ChannelName, _ result: SubscribeResult, expiresIn: Duration? = nil, time: Timestamp
    ) -> [SessionAction] {
        guard let entry = entries[channel], !entry.isLive else { return [.leave(channel)] }
        entries[channel]?.isLive = true
        let (result, looks) = beginLease(channel, result, expiresIn: expiresIn, time: time)
        return answerSubscribed(channel, entry, result, time: time) + looks
    }

    private mutating func answerSubscribed(
        _ channel: ChannelName, _ entry: Entry, _ result: SubscribeResult, time: Timestamp
    ) -> [SessionAction] {
        if let reference = entry.reference {
            entries[channel]?.early = []
            return [.send(.subscribed(channel: entry.label, result, reference)), .follow(channel)]
                + entry.early.flatMap { publish(channel, $0.command, $0.reference) }
        }
        guard case .connecting(var connecting) = phase, connecting.awaited.remove(channel) != nil else {
            return [.send(.subscribedByServer(channel: entry.label, result)), .follow(channel)]
        }
        connecting.ready.append(OpenedChannel(channel: channel, label: entry.label, result: result))
        phase = .connecting(connecting)
        return finishConnecting(time: time)
    }

    package mutating func subscriptionFailed(
        _ channel: ChannelName, _ failure: ClientFailure, time: Timestamp
    ) -> [SessionAction] {
        guard let entry = entries.removeValue(forKey: channel) else { return [] }
        if let reference = entry.reference {
            return [.leave(channel)] + fail(reference, failure)
                + refuseEarly(entry)
        }
        guard case .connecting(let connecting) = phase else { return [.leave(channel)] }
        // Without its channels a connection would be there and hear nothing; better that it comes back.
        if manner == .address { return close(Session.disconnect(for: failure)) }
        phase = .awaitingConnect
        let leaves = entries.keys.map { SessionAction.leave($0) } + [.leave(channel)]
        entries = [:]
        return leaves + fail(connecting.reference, failure.isTemporary ? failure : .internal)
    }

    private mutating func unsubscribe(_ channel: ChannelName) -> [SessionAction] {
        guard let entry = entries.removeValue(forKey: channel) else { return [] }
        return [.leave(channel)] + refuseEarly(entry)
    }

    /// The server ends a subscription.
    package mutating func unsubscribe(_ channel: ChannelName, _ reason: UnsubscribeReason) -> [SessionAction] {
        guard let entry = entries[channel] else { return [] }
        guard entry.isLive else {
            // A connect that waits for the channel goes on; a client's own command is answered.
            guard let reference = entry.reference else { return [] }
            entries[channel] = nil
            return [.leave(channel, reason: .server)] + fail(reference, .permissionDenied)
                + refuseEarly(entry)
        }
        entries[channel] = nil
        let leave = SessionAction.leave(channel, reason: reason == .expired ? .expired : .server)
        guard manner != .address || (reason != .insufficientState && !entries.isEmpty) else {
            // Nothing is left of what the address asked for.
            return [leave] + close(reason == .insufficientState ? .insufficientState : .permissionDenied)
        }
        return [leave, .send(.unsubscribedByServer(channel: entry.label, reason))]
    }

    // MARK: Publishing and asking

    private mutating func publish(
        _ channel: ChannelName, _ command: PublishCommand, _ reference: CommandReference
    ) -> [SessionAction] {
        if let id = command.messageID, !MessageKey.isValid(id) {
            return fail(reference, .badRequest("a message's key has 1 to \(MessageKey.maximumLength) bytes"))
        }
        guard EventName.isValid(command.event) else {
            return fail(reference, .badRequest("an event's name has 1 to \(EventName.maximumLength) bytes of text"))
        }
        guard let namespace = rules.policy.namespaces[channel.namespace] else {
            return fail(reference, .unknownChannel)
        }
        if manner == .handshake, entries[channel]?.isLive == false { return publishEarly(channel, command, reference) }
        let isSubscribed = entries[channel]?.isLive ?? false
        switch rules.policy.publish(channel, namespace, identity, isSubscribed: isSubscribed) {
        case .allow:
            return begin(reference) { .publish(channel, command, asksHook: false, reference) }
        case .askHook:
            return begin(reference) { .publish(channel, command, asksHook: true, reference) }
        case .deny, .authenticationRequired: return fail(reference, .permissionDenied)
        }
    }

    private mutating func look(
        _ operation: Capability.Operation, _ label: String, _ reference: CommandReference,
        _ action: (ChannelName) -> SessionAction
    ) -> [SessionAction] {
        guard let channel = try? ChannelName(label), let namespace = rules.policy.namespaces[channel.namespace] else {
            return fail(reference, .unknownChannel)
        }
        let isSubscribed = entries[channel]?.isLive ?? false
        guard rules.policy.look(operation, channel, identity, isSubscribed: isSubscribed) == .allow else {
            return fail(reference, .permissionDenied)
        }
        let isOffered = operation == .presence ? namespace.presence : namespace.history != nil
        guard isOffered else { return fail(reference, .notAvailable) }
        return begin(reference) { action(channel) }
    }

    private mutating func begin(_ reference: CommandReference, _ action: () -> SessionAction) -> [SessionAction] {
        guard commandsInFlight < rules.limits.commandsInFlight else {
            return [.limited(.commandsInFlight)] + fail(reference, .tooManyRequests(retryAfterSeconds: 1))
        }
        commandsInFlight += 1
        return [action()]
    }

    /// A command that was under way is done, with `message` for the client.
    package mutating func completed(_ message: ServerMessage) -> [SessionAction] {
        commandsInFlight -= 1
        if case .closed = phase { return [] }
        return [.send(message)]
    }

    // MARK: Refusing and closing

    mutating func withChannel(
        _ label: String, _ reference: CommandReference,
        _ body: (inout Session, ChannelName) -> [SessionAction]
    ) -> [SessionAction] {
        guard let channel = try? ChannelName(label) else { return fail(reference, .unknownChannel) }
        return body(&self, channel)
    }

    /// Counts a refused subscription that is against a limit.
    private func limited(_ failure: ClientFailure) -> [SessionAction] {
        switch failure {
        case .limitExceeded: [.limited(.channelsPerConnection)]
        case .channelNameTooLong(maximum: rules.limits.channelNameBytes): [.limited(.channelNameBytes)]
        default: []
        }
    }

    func fail(_ reference: CommandReference, _ failure: ClientFailure) -> [SessionAction] {
        [.send(.failure(failure, reference))]
    }

    /// The server ends the connection.
    package mutating func close(_ disconnect: Disconnect) -> [SessionAction] {
        if case .closed = phase { return [] }
        phase = .closed
        return [.close(disconnect)]
    }

    private static func disconnect(for failure: ClientFailure) -> Disconnect {
        switch failure.code {
        case ClientFailure.unauthorized.code, 401: .authenticationRequired
        case ClientFailure.permissionDenied.code, 403: .permissionDenied
        case ClientFailure.tokenExpired.code: .expired
        case ClientFailure.unknownChannel.code, ClientFailure.alreadySubscribed.code,
            ClientFailure.channelNameTooLong(maximum: 0).code:
            .badRequest
        case ClientFailure.limitExceeded.code: .channelLimit
        default: failure.isTemporary ? .internalError : .notAvailable
        }
    }
}

extension ClientCommand {
    var reference: CommandReference {
        switch self {
        case .connect(_, let reference), .subscribe(_, let reference), .unsubscribe(_, let reference),
            .publish(_, let reference), .call(_, _, let reference), .presence(_, let reference),
            .presenceStatistics(_, let reference), .history(_, let reference), .refresh(_, let reference),
            .subscriptionRefresh(_, _, let reference), .ping(let reference), .unknown(_, let reference),
            .malformed(_, let reference):
            reference
        case .send, .pong: 0
        }
    }
}
