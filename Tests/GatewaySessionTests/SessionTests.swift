import Events
import GatewaySession
import GatewayWire
import Identity
import Testing

/// Transcripts: what goes into a session, and what it wants done.
@Suite struct SessionTests {
    private let client = RandomID(high: 0, low: 1)
    private let now = Moment(milliseconds: 1_000_000)
    private let time = Timestamp(seconds: 1_000)

    private func rules(
        anonymous: Bool = false, limits: GatewayLimits = GatewayLimits(), namespaces: [Namespace] = []
    ) -> SessionRules {
        SessionRules(
            policy: ChannelPolicy(namespaces: NamespaceTable(configured: namespaces)), limits: limits,
            allowsAnonymous: anonymous, pingInterval: .seconds(25), version: "test",
            verify: { token, now throws(IdentityError) in
                switch token {
                case "42": Identity(user: "42")
                case "admin": Identity(user: "1", roles: ["admin"])
                case "short": Identity(user: "42", expiresAt: Timestamp(seconds: 1_060))
                case "expired": throw .expired
                default: throw .badSignature
                }
            })
    }

    private func session(_ manner: SessionManner = .commands, _ rules: SessionRules? = nil) -> Session {
        Session(client: client, sessionID: client, manner: manner, rules: rules ?? self.rules())
    }

    /// A session of user 42 that is connected, on its own channel.
    private func connected(_ rules: SessionRules? = nil, token: String = "42") throws -> Session {
        var session = session(.commands, rules)
        _ = session.receive(.connect(ConnectCommand(token: token), 1), time: time, now: now)
        for channel in session.channels { _ = session.subscribed(channel, SubscribeResult(), time: time) }
        try #require(session.isOpen)
        return session
    }

    private func name(_ text: String) throws -> ChannelName { try ChannelName(text) }

    // MARK: Connecting

    @Test("a connect is answered when the user's own channel is there, with its position")
    func connect() throws {
        var session = session()
        let user = try name("user:42")
        #expect(
            session.receive(.connect(ConnectCommand(token: "42"), 1), time: time, now: now)
                == [.authenticated, .join(user, from: nil, asksHook: false)])
        #expect(!session.isOpen)
        let result = SubscribeResult(position: StreamPosition(epoch: "e", offset: 3))
        let answer = ConnectResult(
            client: "\(client)", version: "test", expiry: .never, pingInterval: 25, subscriptions: ["user:42": result],
            session: "\(client)")
        #expect(session.subscribed(user, result, time: time) == [.send(.connected(answer, 1)), .follow(user)])
        #expect(session.isOpen)
    }

    @Test("the position that a client names for its own channel is where it goes on")
    func connectRecovers() throws {
        var session = session()
        let position = StreamPosition(epoch: "e", offset: 3)
        let command = ConnectCommand(
            token: "42", subscriptions: [SubscribeCommand(channel: "user:42", recoverFrom: position)])
        let actions = session.receive(.connect(command, 1), time: time, now: now)
        #expect(actions.contains(.join(try name("user:42"), from: position, asksHook: false)))
    }

    @Test("without a token only where anonymous clients are let in")
    func anonymous() {
        var refused = session()
        #expect(
            refused.receive(.connect(ConnectCommand(), 1), time: time, now: now)
                == [.send(.failure(.unauthorized, 1))])
        var admitted = session(.commands, rules(anonymous: true))
        let answer = ConnectResult(
            client: "\(client)", version: "test", expiry: .never, pingInterval: 25, session: "\(client)")
        #expect(
            admitted.receive(.connect(ConnectCommand(), 1), time: time, now: now)
                == [.authenticated, .send(.connected(answer, 1))])
    }

    @Test("a forged token closes the connection, an expired one may be renewed")
    func badTokens() {
        var forged = session()
        #expect(
            forged.receive(.connect(ConnectCommand(token: "x"), 1), time: time, now: now) == [.close(.invalidToken)])
        var expired = session()
        #expect(
            expired.receive(.connect(ConnectCommand(token: "expired"), 1), time: time, now: now)
                == [.send(.failure(.tokenExpired, 1))])
    }

    @Test("before the connect nothing else is understood")
    func connectFirst() {
        var session = session()
        #expect(
            session.receive(.unsubscribe(channel: "room:a", 1), time: time, now: now) == [.close(.badRequest)])
    }

    @Test("an expiring connection is closed unless it is refreshed, and stays its user's")
    func expiry() throws {
        var session = try connected(token: "short")
        #expect(session.deadlineReached(time: Timestamp(seconds: 1_059)) == [])
        #expect(
            session.receive(.refresh(token: "42", 2), time: time, now: now) == [.send(.refreshed(.never, 2))])
        #expect(session.deadlineReached(time: Timestamp(seconds: 2_000)) == [])
        var late = try connected(token: "short")
        #expect(late.deadlineReached(time: Timestamp(seconds: 1_060)) == [.close(.expired)])
        var other = try connected(token: "short")
        #expect(other.receive(.refresh(token: "admin", 2), time: time, now: now) == [.close(.invalidToken)])
    }

    // MARK: Subscribing

    @Test("a subscription is answered when it is there, and messages follow the answer")
    func subscribe() throws {
        var session = try connected()
        let room = try name("room:a")
        let command = SubscribeCommand(channel: "room:a", wantsJoinLeave: true)
        #expect(
            session.receive(.subscribe(command, 2), time: time, now: now)
                == [.join(room, from: nil, asksHook: false)])
        let result = SubscribeResult(position: StreamPosition(epoch: "e", offset: 1))
        #expect(
            session.subscribed(room, result, time: time)
                == [.send(.subscribed(channel: "room:a", result, 2)), .follow(room)])
        #expect(
            session.receive(.subscribe(command, 3), time: time, now: now)
                == [.send(.failure(.alreadySubscribed, 3))])
        #expect(session.wantsJoinLeave(room))
    }

    @Test("who may subscribe is the namespace's to say")
    func permission() throws {
        var user = try connected()
        func answer(_ channel: String) -> [SessionAction] {
            user.receive(.subscribe(SubscribeCommand(channel: channel), 9), time: time, now: now)
        }
        #expect(answer("user:43") == [.send(.failure(.permissionDenied, 9))])
        #expect(answer("admin:inventory-alerts") == [.send(.failure(.permissionDenied, 9))])
        #expect(answer("nowhere:x") == [.send(.failure(.unknownChannel, 9))])
        #expect(answer("room:a..b") == [.send(.failure(.unknownChannel, 9))])
        #expect(answer("task:1") == [.join(try name("task:1"), from: nil, asksHook: true)])
        var admin = try connected(token: "admin")
        #expect(
            admin.receive(.subscribe(SubscribeCommand(channel: "user:43"), 1), time: time, now: now)
                == [.join(try name("user:43"), from: nil, asksHook: false)])
    }

    @Test("a subscription that is given up while it is made does not come to life")
    func unsubscribeWhileJoining() throws {
        var session = try connected()
        let room = try name("room:a")
        _ = session.receive(.subscribe(SubscribeCommand(channel: "room:a"), 2), time: time, now: now)
        #expect(
            session.receive(.unsubscribe(channel: "room:a", 3), time: time, now: now)
                == [.leave(room), .send(.unsubscribed(channel: "room:a", 3))])
        #expect(session.subscribed(room, SubscribeResult(), time: time) == [.leave(room)])
    }

    @Test("a refused hook is told to this client, and leaves nothing behind")
    func refusedHook() throws {
        var session = try connected()
        let task = try name("task:1")
        _ = session.receive(.subscribe(SubscribeCommand(channel: "task:1"), 2), time: time, now: now)
        let failure = ClientFailure(code: 403, message: "not yours")
        #expect(
            session.subscriptionFailed(task, failure, time: time)
                == [.leave(task), .send(.failure(failure, 2))])
        #expect(session.label(of: task) == nil)
    }

    @Test("a connection may be on only so many channels")
    func channelLimit() throws {
        var session = try connected(rules(limits: GatewayLimits(channelsPerConnection: 2)))
        _ = session.receive(.subscribe(SubscribeCommand(channel: "room:a"), 2), time: time, now: now)
        #expect(
            session.receive(.subscribe(SubscribeCommand(channel: "room:b"), 3), time: time, now: now)
                == [.limited(.channelsPerConnection), .send(.failure(.limitExceeded, 3))])
    }

    // MARK: Addresses

    @Test("an address opens when all its channels are there")
    func address() throws {
        var session = session(.address)
        let (a, b) = (try name("room:a"), try name("room:b"))
        let wanted = [SubscribeCommand(channel: "room:a"), SubscribeCommand(channel: "room:b")]
        #expect(
            session.open(token: "42", channels: wanted, time: time)
                == [.authenticated, .join(a, from: nil, asksHook: false), .join(b, from: nil, asksHook: false)])
        let result = SubscribeResult()
        #expect(session.subscribed(b, result, time: time) == [])
        #expect(
            session.subscribed(a, result, time: time) == [
                .opened([
                    OpenedChannel(channel: b, label: "room:b", result: result),
                    OpenedChannel(channel: a, label: "room:a", result: result),
                ]), .follow(b), .follow(a),
            ])
    }

    @Test("an address that may not be opened is closed with the reason")
    func refusedAddress() {
        var nobody = session(.address)
        #expect(
            nobody.open(token: nil, channels: [SubscribeCommand(channel: "room:a")], time: time)
                == [.close(.authenticationRequired)])
        var stranger = session(.address)
        #expect(
            stranger.open(token: "42", channels: [SubscribeCommand(channel: "user:43")], time: time)
                .last == .close(.permissionDenied))
        var expired = session(.address)
        #expect(
            expired.open(token: "expired", channels: [SubscribeCommand(channel: "room:a")], time: time)
                == [.close(.expired)])
    }

    // MARK: Publishing, rates

    @Test("publishing to a room is for those who are in it")
    func publish() throws {
        var session = try connected()
        let room = try name("room:a")
        let payload = Array("1".utf8)
        let command = PublishCommand(channel: "room:a", payload: payload, event: "said", messageID: "m1")
        let publish = ClientCommand.publish(command, 5)
        #expect(session.receive(publish, time: time, now: now) == [.send(.failure(.permissionDenied, 5))])
        _ = session.receive(.subscribe(SubscribeCommand(channel: "room:a"), 2), time: time, now: now)
        _ = session.subscribed(room, SubscribeResult(), time: time)
        #expect(
            session.receive(publish, time: time, now: now)
                == [.publish(room, command, asksHook: false, 5)])
        #expect(session.completed(.published(5)) == [.send(.published(5))])
    }

    @Test("an event's name and a message's key are bounded, and are text")
    func publishNames() throws {
        var session = try connected()
        let room = try name("room:a")
        _ = session.receive(.subscribe(SubscribeCommand(channel: "room:a"), 2), time: time, now: now)
        _ = session.subscribed(room, SubscribeResult(), time: time)
        func failure(_ command: PublishCommand) -> UInt32? {
            guard
                case .send(.failure(let failure, 5))? = session.receive(.publish(command, 5), time: time, now: now)
                    .first
            else { return nil }
            return failure.code
        }
        let payload = Array("1".utf8)
        for event in ["", "a\r\nApus-User: 1", String(repeating: "e", count: 201)] {
            #expect(failure(PublishCommand(channel: "room:a", payload: payload, event: event)) == 107)
        }
        for key in ["", String(repeating: "k", count: 201)] {
            #expect(failure(PublishCommand(channel: "room:a", payload: payload, messageID: key)) == 107)
        }
        #expect(failure(PublishCommand(channel: "room:a", payload: payload, event: "é", messageID: "k")) == nil)
    }

    @Test("over its rate a connection is told when to come again, and closed if it does not stop")
    func rate() throws {
        var session = try connected(rules(limits: GatewayLimits(connectionMessagesPerSecond: 5)))
        let limited = SessionAction.limited(.connectionMessagesPerSecond)
        var refusals = 0
        var last: [SessionAction] = []
        for reference in 1...(10 + Session.maximumRefusals + 5) {
            last = session.receive(.ping(UInt32(reference)), time: time, now: now)
            let failure = ClientFailure.tooManyRequests(retryAfterSeconds: 1)
            if last == [limited, .send(.failure(failure, UInt32(reference)))] { refusals += 1 }
            if last == [limited, .close(.tooManyRequests)] { break }
        }
        #expect(refusals == Session.maximumRefusals)
        #expect(last == [limited, .close(.tooManyRequests)])
        var patient = try connected(rules(limits: GatewayLimits(connectionMessagesPerSecond: 5)))
        for second in 0..<50 {
            let later = Moment(milliseconds: now.milliseconds + Int64(second) * 250)
            #expect(patient.receive(.ping(1), time: time, now: later) == [.send(.pong(1))])
        }
    }

    @Test("a client that goes on at twice its rate is closed, though half of what it sends is let through")
    func persistentRate() throws {
        var session = try connected(rules(limits: GatewayLimits(connectionMessagesPerSecond: 10)))
        var closedAt: Int?
        for message in 0..<2000 where closedAt == nil {
            let later = Moment(milliseconds: now.milliseconds + Int64(message) * 50)
            if session.receive(.ping(1), time: time, now: later).contains(.close(.tooManyRequests)) {
                closedAt = message
            }
        }
        #expect((400..<600).contains(closedAt ?? 0), "closed at \(closedAt ?? -1)")
    }

    @Test("a user's own rate is refused like the connection's, and in the end closes too")
    func userRate() throws {
        var session = try connected()
        let limited = SessionAction.limited(.userMessagesPerMinute)
        #expect(
            session.refuse(.ping(7), .userMessagesPerMinute, retryAfterSeconds: 3, now: now)
                == [limited, .send(.failure(.tooManyRequests(retryAfterSeconds: 3), 7))])
        for _ in 1..<Session.maximumRefusals {
            _ = session.refuse(.ping(7), .userMessagesPerMinute, retryAfterSeconds: 3, now: now)
        }
        #expect(
            session.refuse(.ping(7), .userMessagesPerMinute, retryAfterSeconds: 3, now: now)
                == [limited, .close(.tooManyRequests)])
    }

    @Test("a name that is too long is told how long it may be, and counted")
    func nameLength() throws {
        var session = try connected(rules(limits: GatewayLimits(channelNameBytes: 10)))
        let failure = ClientFailure.channelNameTooLong(maximum: 10)
        for label in ["room:12345678901", "room:" + String(repeating: "x", count: 300)] {
            #expect(
                session.receive(.subscribe(SubscribeCommand(channel: label), 2), time: time, now: now)
                    == [.limited(.channelNameBytes), .send(.failure(failure, 2))])
        }
        #expect(
            session.receive(.subscribe(SubscribeCommand(channel: "room:1234567890"), 3), time: time, now: now)
                == [.join(try name("room:1234567890"), from: nil, asksHook: false)])
    }

    @Test("only so many commands may be under way")
    func inFlight() throws {
        var session = try connected(rules(limits: GatewayLimits(commandsInFlight: 2)))
        let call = { (reference: UInt32) in ClientCommand.call(method: "m", parameters: [], reference) }
        for reference: UInt32 in 1...2 {
            #expect(
                session.receive(call(reference), time: time, now: now)
                    == [.call(method: "m", parameters: [], reference)])
        }
        #expect(
            session.receive(call(3), time: time, now: now)
                == [.limited(.commandsInFlight), .send(.failure(.tooManyRequests(retryAfterSeconds: 1), 3))])
        _ = session.completed(.pong(1))
        #expect(session.receive(call(4), time: time, now: now) == [.call(method: "m", parameters: [], 4)])
    }

    @Test("after the close nothing more is answered")
    func closed() throws {
        var session = try connected()
        #expect(session.close(.shutdown) == [.close(.shutdown)])
        #expect(session.close(.slow) == [])
        #expect(session.receive(.ping(1), time: time, now: now) == [])
        #expect(session.completed(.pong(1)) == [])
    }
}
