import Events
import GatewaySession
import GatewayWire
import Identity
import Testing

/// How long a subscription or a connection stays: tokens for one channel, hooks that give a time, and their graces.
@Suite struct SessionLeaseTests {
    private let client = RandomID(high: 0, low: 1)
    private let now = Moment(milliseconds: 1_000_000)
    private let time = Timestamp(seconds: 1_000)
    private let room: ChannelName
    private let task: ChannelName

    init() throws {
        room = try ChannelName("room:a")
        task = try ChannelName("task:1")
    }

    private var rules: SessionRules {
        SessionRules(
            policy: ChannelPolicy(namespaces: NamespaceTable()), limits: GatewayLimits(), allowsAnonymous: true,
            pingInterval: .seconds(25), version: "test",
            expiry: ExpiryRules(tokenGrace: .seconds(5), hookGrace: .seconds(30), hookLead: .seconds(4)),
            verify: { token, now throws(IdentityError) in
                switch token {
                case "42": Identity(user: "42")
                case "short": Identity(user: "42", expiresAt: Timestamp(seconds: 1_060))
                default: throw .badSignature
                }
            },
            verifySubscription: { token, now throws(IdentityError) in
                switch token {
                case "room": SubscriptionToken(user: "42", channel: "room:a", expiresAt: Timestamp(seconds: 1_060))
                case "later": SubscriptionToken(user: "42", channel: "room:a", expiresAt: Timestamp(seconds: 1_200))
                case "endless": SubscriptionToken(user: "42", channel: "room:a")
                case "secret": SubscriptionToken(user: "42", channel: "admin:secret")
                case "other": SubscriptionToken(user: "7", channel: "room:a")
                case "anonymous": SubscriptionToken(user: nil, channel: "room:a")
                case "expired": throw .expired
                default: throw .badSignature
                }
            })
    }

    private func connected(token: String? = "42") throws -> Session {
        var session = Session(client: client, sessionID: client, manner: .commands, rules: rules)
        _ = session.receive(.connect(ConnectCommand(token: token), 1), time: time, now: now)
        for channel in session.channels { _ = session.subscribed(channel, SubscribeResult(), time: time) }
        try #require(session.isOpen)
        return session
    }

    private func subscribe(_ session: inout Session, _ channel: String, token: String?) -> [SessionAction] {
        session.receive(.subscribe(SubscribeCommand(channel: channel, token: token), 2), time: time, now: now)
    }

    // MARK: Tokens for one channel

    @Test("a token for a channel allows what the namespace does not, without asking a hook")
    func token() throws {
        var session = try connected()
        let secret = try ChannelName("admin:secret")
        #expect(subscribe(&session, "admin:secret", token: "secret") == [.join(secret, from: nil, asksHook: false)])
        #expect(
            session.subscribed(secret, SubscribeResult(), time: time)
                == [.send(.subscribed(channel: "admin:secret", SubscribeResult(), 2)), .follow(secret)])
        #expect(session.subscriptionDeadlineReached(secret, time: Timestamp(seconds: 9_999)) == [])
    }

    @Test(
        "a token of somebody else, for another channel, or forged closes the connection",
        arguments: ["other", "secret", "anonymous", "nonsense"])
    func invalidToken(token: String) throws {
        var session = try connected()
        #expect(subscribe(&session, "room:a", token: token) == [.close(.invalidToken)])
    }

    @Test("an expired token for a channel is told as that, so that the client gets a new one")
    func expiredToken() throws {
        var session = try connected()
        #expect(subscribe(&session, "room:a", token: "expired") == [.send(.failure(.tokenExpired, 2))])
        #expect(subscribe(&session, "room:a", token: nil) == [.join(room, from: nil, asksHook: false)])
    }

    @Test("a subscription ends with its token and the grace, and goes on with a new one")
    func tokenExpires() throws {
        var session = try connected()
        _ = subscribe(&session, "room:a", token: "room")
        #expect(
            session.subscribed(room, SubscribeResult(), time: time) == [
                .send(.subscribed(channel: "room:a", SubscribeResult(expiresIn: 60), 2)), .follow(room),
                .look(room, at: Timestamp(seconds: 1_065)),
            ])
        #expect(
            session.subscriptionDeadlineReached(room, time: Timestamp(seconds: 1_064))
                == [.look(room, at: Timestamp(seconds: 1_065))])
        var renewed = session
        #expect(
            renewed.receive(
                .subscriptionRefresh(channel: "room:a", token: "later", 3), time: Timestamp(seconds: 1_060), now: now)
                == [
                    .send(.subscriptionRefreshed(.after(seconds: 140), 3)), .look(room, at: Timestamp(seconds: 1_205)),
                ])
        #expect(
            renewed.subscriptionDeadlineReached(room, time: Timestamp(seconds: 1_065))
                == [.look(room, at: Timestamp(seconds: 1_205))])
        #expect(
            renewed.receive(.subscriptionRefresh(channel: "room:a", token: "endless", 4), time: time, now: now)
                == [.send(.subscriptionRefreshed(.never, 4))])
        #expect(renewed.subscriptionDeadlineReached(room, time: Timestamp(seconds: 1_205)) == [])
        #expect(
            session.subscriptionDeadlineReached(room, time: Timestamp(seconds: 1_065)) == [
                .leave(room, reason: .expired), .send(.unsubscribedByServer(channel: "room:a", .expired)),
            ])
        #expect(session.label(of: room) == nil)
    }

    @Test("a refresh for a channel that one is not on is refused, one with a bad token closes")
    func refreshRefused() throws {
        var session = try connected()
        #expect(
            session.receive(.subscriptionRefresh(channel: "room:a", token: "room", 3), time: time, now: now)
                == [.send(.failure(.permissionDenied, 3))])
        _ = subscribe(&session, "room:a", token: "room")
        _ = session.subscribed(room, SubscribeResult(), time: time)
        #expect(
            session.receive(.subscriptionRefresh(channel: "room:a", token: "expired", 4), time: time, now: now)
                == [.send(.failure(.tokenExpired, 4))])
        #expect(
            session.receive(.subscriptionRefresh(channel: "room:a", token: "other", 5), time: time, now: now)
                == [.close(.invalidToken)])
    }

    // MARK: Hooks that give a time

    /// On `task:1`, for 60 seconds by its hook.
    private func leased() throws -> Session {
        var session = try connected()
        _ = subscribe(&session, "task:1", token: nil)
        let actions = session.subscribed(task, SubscribeResult(), expiresIn: .seconds(60), time: time)
        try #require(actions.last == .look(task, at: Timestamp(seconds: 1_056)))
        // It is not the client that renews: it is told nothing of a time.
        try #require(actions.first == .send(.subscribed(channel: "task:1", SubscribeResult(), 2)))
        return session
    }

    @Test("a hook is asked again before its time is over, once, and gives another")
    func renewal() throws {
        var session = try leased()
        let due = Timestamp(seconds: 1_056)
        // The clock of the wheel and the time of day differ by a little.
        #expect(
            session.subscriptionDeadlineReached(task, time: due.advanced(by: .milliseconds(-1))) == [
                .look(task, at: due)
            ])
        #expect(session.subscriptionDeadlineReached(task, time: due) == [.renew(task)])
        #expect(session.subscriptionDeadlineReached(task, time: due) == [])
        #expect(
            session.renewed(task, SubscribeGrant(expiresIn: .seconds(2)), time: due)
                == [.look(task, at: Timestamp(seconds: 1_057))])
        #expect(session.subscriptionDeadlineReached(task, time: Timestamp(seconds: 1_057)) == [.renew(task)])
        #expect(session.renewed(task, SubscribeGrant(), time: Timestamp(seconds: 1_057)) == [])
        #expect(session.subscriptionDeadlineReached(task, time: Timestamp(seconds: 5_000)) == [])
    }

    @Test("a hook that refuses to renew ends the subscription at once")
    func renewalRefused() throws {
        var session = try leased()
        let due = Timestamp(seconds: 1_056)
        _ = session.subscriptionDeadlineReached(task, time: due)
        #expect(
            session.renewalFailed(task, ClientFailure(code: 403, message: "no longer"), time: due) == [
                .leave(task, reason: .expired), .send(.unsubscribedByServer(channel: "task:1", .expired)),
            ])
        #expect(session.renewed(task, SubscribeGrant(), time: due) == [])
    }

    @Test("a hook that is away is asked again and again, until the grace is over")
    func renewalUnanswered() throws {
        var session = try leased()
        var time = Timestamp(seconds: 1_056)
        var asked = 0
        while true {
            let actions = session.subscriptionDeadlineReached(task, time: time)
            guard actions == [.renew(task)] else {
                #expect(
                    actions == [
                        .leave(task, reason: .expired), .send(.unsubscribedByServer(channel: "task:1", .expired)),
                    ])
                break
            }
            asked += 1
            guard case .look(_, let next)? = session.renewalFailed(task, .unavailable("away"), time: time).first else {
                Issue.record("nothing follows a failed renewal")
                return
            }
            try #require(next > time)
            time = next
        }
        #expect(time == Timestamp(seconds: 1_090))
        #expect(asked == 17)
        var patient = try leased()
        _ = patient.subscriptionDeadlineReached(task, time: Timestamp(seconds: 1_056))
        _ = patient.renewalFailed(task, .unavailable("away"), time: Timestamp(seconds: 1_056))
        #expect(patient.subscriptionDeadlineReached(task, time: Timestamp(seconds: 1_070)) == [.renew(task)])
        #expect(
            patient.renewed(task, SubscribeGrant(expiresIn: .seconds(60)), time: Timestamp(seconds: 1_070))
                == [.look(task, at: Timestamp(seconds: 1_126))])
    }

    @Test("an answer for a subscription that has gone changes nothing")
    func lateRenewal() throws {
        var session = try leased()
        _ = session.subscriptionDeadlineReached(task, time: Timestamp(seconds: 1_056))
        _ = session.receive(.unsubscribe(channel: "task:1", 3), time: time, now: now)
        #expect(session.renewed(task, SubscribeGrant(expiresIn: .seconds(1)), time: time) == [])
        #expect(session.renewalFailed(task, .permissionDenied, time: time) == [])
        #expect(session.subscriptionDeadlineReached(task, time: Timestamp(seconds: 9_999)) == [])
    }

    // MARK: Connections

    @Test("a connection outlives its token by the grace where it can send a new one, and not where it cannot")
    func connectionGrace() throws {
        var session = Session(client: client, sessionID: client, manner: .commands, rules: rules)
        let actions = session.receive(.connect(ConnectCommand(token: "short"), 1), time: time, now: now)
        #expect(actions.contains(.expire(at: Timestamp(seconds: 1_065))))
        #expect(session.deadlineReached(time: Timestamp(seconds: 1_064)) == [])
        #expect(session.deadlineReached(time: Timestamp(seconds: 1_065)) == [.close(.expired)])
        var address = Session(client: client, sessionID: client, manner: .address, rules: rules)
        let opened = address.open(token: "short", channels: [SubscribeCommand(channel: "room:a")], time: time)
        #expect(opened.contains(.expire(at: Timestamp(seconds: 1_060))))
        #expect(address.deadlineReached(time: Timestamp(seconds: 1_060)) == [.close(.expired)])
    }

    @Test("a backend may give a connection another end, which the client is told")
    func refreshByServer() throws {
        var session = try connected(token: "short")
        #expect(
            session.refreshByServer(expiresAt: Timestamp(seconds: 2_000), time: time) == [
                .send(.refreshedByServer(.after(seconds: 1_000))), .expire(at: Timestamp(seconds: 2_005)),
            ])
        #expect(session.deadlineReached(time: Timestamp(seconds: 1_065)) == [])
        #expect(session.refreshByServer(expiresAt: nil, time: time) == [.send(.refreshedByServer(.never))])
        #expect(session.deadlineReached(time: Timestamp(seconds: 3_000)) == [])
    }

    // MARK: Orders

    @Test("the server may put a client on a channel, once")
    func subscribeByServer() throws {
        var session = try connected()
        let command = SubscribeCommand(channel: "room:a", data: Array("1".utf8))
        #expect(
            session.subscribeByServer(command) == [.join(room, from: nil, asksHook: false)])
        #expect(session.subscribeByServer(command) == [])
        let result = SubscribeResult(data: Array("1".utf8))
        #expect(
            session.subscribed(room, SubscribeResult(), time: time)
                == [.send(.subscribedByServer(channel: "room:a", result)), .follow(room)])
        var address = Session(client: client, sessionID: client, manner: .address, rules: rules)
        _ = address.open(token: "42", channels: [SubscribeCommand(channel: "room:a")], time: time)
        #expect(address.subscribeByServer(SubscribeCommand(channel: "room:b")) == [])
    }

    @Test("a subscription that the server ends while it is made is refused to the client that waits for it")
    func unsubscribeWhileJoining() throws {
        var session = try connected()
        _ = subscribe(&session, "room:a", token: nil)
        #expect(
            session.unsubscribe(room, .server)
                == [.leave(room, reason: .server), .send(.failure(.permissionDenied, 2))])
        #expect(session.subscribed(room, SubscribeResult(), time: time) == [.leave(room)])
        // A connect that waits for its own channel is not left hanging.
        var connecting = Session(client: client, sessionID: client, manner: .commands, rules: rules)
        _ = connecting.receive(.connect(ConnectCommand(token: "42"), 1), time: time, now: now)
        let own = try ChannelName("user:42")
        #expect(connecting.unsubscribe(own, .server) == [])
        _ = connecting.subscribed(own, SubscribeResult(), time: time)
        #expect(connecting.isOpen)
    }

    @Test("a client whose own channel is interrupted is disconnected: it would not subscribe to it again by itself")
    func interruptedByServer() throws {
        let own = try ChannelName("user:42")
        var session = try connected()
        #expect(
            session.unsubscribe(own, .insufficientState)
                == [.leave(own, reason: .server), .close(.insufficientState)])
        // A channel that the client asked for is asked for again.
        session = try connected()
        _ = subscribe(&session, "room:a", token: nil)
        _ = session.subscribed(room, SubscribeResult(), time: time)
        #expect(
            session.unsubscribe(room, .insufficientState) == [
                .leave(room, reason: .server), .send(.unsubscribedByServer(channel: "room:a", .insufficientState)),
            ])
        // One that the backend put it on is not.
        _ = session.subscribeByServer(SubscribeCommand(channel: "room:a"))
        _ = session.subscribed(room, SubscribeResult(), time: time)
        #expect(
            session.unsubscribe(room, .insufficientState)
                == [.leave(room, reason: .server), .close(.insufficientState)])
    }

    @Test("an address loses the channel, and is closed when none is left")
    func unsubscribeAddress() throws {
        let other = try ChannelName("room:b")
        var session = Session(client: client, sessionID: client, manner: .address, rules: rules)
        _ = session.open(
            token: "42", channels: [SubscribeCommand(channel: "room:a"), SubscribeCommand(channel: "room:b")],
            time: time)
        for channel in [room, other] { _ = session.subscribed(channel, SubscribeResult(), time: time) }
        #expect(
            session.unsubscribe(room, .server) == [
                .leave(room, reason: .server), .send(.unsubscribedByServer(channel: "room:a", .server)),
            ])
        #expect(
            session.unsubscribe(other, .server) == [.leave(other, reason: .server), .close(.permissionDenied)])
    }
}
