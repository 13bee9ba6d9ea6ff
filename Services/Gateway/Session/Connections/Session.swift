package import Events
package import GatewayWire
package import Identity

/// What one connection is and may do: a state machine without sockets, clock, bus or protocol.
///
/// Inputs are what the client sent and what became of earlier actions; each returns the actions that follow from it. There
/// is one for each connection, so that it holds little: what all share it refers to, and what few have is kept aside.
package struct Session: Sendable {
    enum Phase {
        /// Nothing but a connect is understood.
        case awaitingConnect
        /// Who it is is known; the subscriptions that belong to the connect are being made.
        indirect case connecting(Connecting)
        case open
        case closed
    }

    struct Connecting {
        var reference: CommandReference
        var awaited: [ChannelName] = []
        var ready: [OpenedChannel] = []
    }

    package let client: RandomID
    /// Known to the client and to nobody else but backends, to name one of a user's connections by.
    package let sessionID: RandomID
    package internal(set) var identity = Identity.anonymous
    let rules: SessionRules
    var phase = Phase.awaitingConnect
    var entries = ChannelTable<Entry>()
    private var rate = TokenBucket()
    /// How many refusals for its rate a client may still get before it is disconnected.
    private var patience = TokenBucket()
    var commandsInFlight: Int32 = 0
    package let manner: SessionManner

    /// A client that goes on sending after so many refusals for its rate is disconnected; each second forgives one.
    package static let maximumRefusals = 200
    private static let refusalRate = TokenRate(perSecond: 1, burst: Double(maximumRefusals))

    package init(client: RandomID, sessionID: RandomID, manner: SessionManner, rules: SessionRules) {
        self.client = client
        self.sessionID = sessionID
        self.manner = manner
        self.rules = rules
    }

    package var isOpen: Bool { if case .open = phase { true } else { false } }
    package var isClosed: Bool { if case .closed = phase { true } else { false } }
    package var isAuthenticated: Bool { if case .awaitingConnect = phase { false } else { true } }
    package var info: ClientInfo {
        ClientInfo(client: client.description, user: identity.user ?? "", info: identity.info)
    }
    package var channels: [ChannelName] { entries.elements.map(\.channelName) }
    package func label(of channel: ChannelName) -> String? { entries[channel]?.label }
    package func wantsJoinLeave(_ channel: ChannelName) -> Bool { entries[channel]?.wantsJoinLeave ?? false }
    package func wantsPresence(_ channel: ChannelName) -> Bool { entries[channel]?.wantsPresence ?? false }

    // MARK: What the client sends

    package mutating func receive(_ command: ClientCommand, time: Timestamp, now: Moment) -> [SessionAction] {
        if isClosed { return [] }
        if case .pong = command { return [] }
        if let messages = rules.messageRate, let seconds = rate.take(messages, now: now) {
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
        if patience.take(Session.refusalRate, now: now) != nil { return [.limited(limit)] + close(.tooManyRequests) }
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

    // MARK: Refusing and closing

    mutating func withChannel(
        _ label: String, _ reference: CommandReference,
        _ body: (inout Session, ChannelName) -> [SessionAction]
    ) -> [SessionAction] {
        guard let channel = try? ChannelName(label) else { return fail(reference, .unknownChannel) }
        return body(&self, channel)
    }

    /// Counts a refused subscription that is against a limit.
    func limited(_ failure: ClientFailure) -> [SessionAction] {
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

    static func disconnect(for failure: ClientFailure) -> Disconnect {
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
