import Events
import GatewaySession
import GatewayWire
import Testing

@Suite struct UserRegistryTests {
    private let now = Moment(milliseconds: 1_000_000)

    @Test("a user has only so many connections, and gets a place back when one goes")
    func connections() {
        let users = UserRegistry(limits: GatewayLimits(connectionsPerUser: 2))
        #expect([users.connect("a"), users.connect("a"), users.connect("a")] == [true, true, false])
        #expect(users.connect("b"))
        users.disconnect("a")
        #expect([users.connect("a"), users.connect("a")] == [true, false])
    }

    @Test("coming back is no way around the rate")
    func rateSurvivesReconnects() {
        let users = UserRegistry(limits: GatewayLimits(userMessagesPerMinute: 60))
        var refused = 0
        for _ in 0..<100 {
            _ = users.connect("a")
            if users.take("a", now: now) != nil { refused += 1 }
            users.disconnect("a")
        }
        #expect(refused == 40)
        #expect(users.take("b", now: now) == nil)
    }

    @Test("who has been quiet for long enough is forgotten")
    func sweep() {
        let users = UserRegistry(limits: GatewayLimits(userMessagesPerMinute: 60))
        for number in 0..<100 { _ = users.take("\(number)", now: now) }
        users.sweep(now: now)
        #expect(users.rateCount == 100)
        users.sweep(now: now.advanced(by: .seconds(11)))
        #expect(users.rateCount == 0)
    }
}

@Suite struct ShardInboxTests {
    private let lobby: ChannelName
    private let other: ChannelName

    init() throws {
        lobby = try ChannelName("room:lobby")
        other = try ChannelName("room:other")
    }

    private func message(_ sequence: UInt64, on channel: ChannelName, bytes: Int = 1) -> ChannelDelivery {
        .message(
            ChannelMessage(
                publication: Publication(payload: Array(repeating: 0x30, count: bytes), offset: sequence),
                storedAt: Timestamp(seconds: 0)), on: channel)
    }

    private func describe(_ deliveries: [ChannelDelivery]) -> [String] {
        deliveries.map {
            switch $0 {
            case .message(let message, let name): "\(name) \(message.sequence)"
            case .interrupted(let name, let generation): "\(name) interrupted \(generation)"
            case .presence(_, let name): "\(name) presence"
            }
        }
    }

    @Test("the first delivery wakes, and what is taken is in order")
    func order() {
        var inbox = ShardInbox()
        #expect(inbox.append(message(1, on: lobby)) == .wake)
        #expect(inbox.append(message(2, on: other)) == .queued)
        #expect(describe(inbox.take().deliveries) == ["room:lobby 1", "room:other 2"])
        #expect(inbox.append(message(3, on: lobby)) == .wake)
    }

    @Test("a channel that loses a message gets no later one, and is interrupted")
    func overflow() {
        var inbox = ShardInbox(maximumCount: 3)
        _ = inbox.append(message(1, on: lobby))
        _ = inbox.append(message(2, on: other))
        _ = inbox.append(message(3, on: lobby))
        #expect(inbox.append(message(4, on: lobby)) == .dropped)
        #expect(inbox.append(message(5, on: lobby)) == .dropped)
        #expect(inbox.append(.interrupted(other, generation: 1)) == .queued)
        #expect(inbox.append(message(6, on: other)) == .dropped)
        let taken = inbox.take()
        #expect(describe(taken.deliveries) == ["room:lobby 1", "room:other 2", "room:lobby 3"])
        #expect(taken.outrun == [lobby, other])
        #expect(inbox.append(message(7, on: lobby)) == .wake)
        #expect(describe(inbox.take().deliveries) == ["room:lobby 7"])
        #expect(inbox.take().outrun.isEmpty)
    }

    @Test("bytes are bounded, but one large message always fits into an empty inbox")
    func bytes() {
        var inbox = ShardInbox(maximumBytes: 100)
        #expect(inbox.append(message(1, on: lobby, bytes: 1000)) == .wake)
        #expect(inbox.append(message(2, on: other, bytes: 1)) == .dropped)
        let taken = inbox.take()
        #expect(describe(taken.deliveries) == ["room:lobby 1"])
        #expect(taken.outrun == [other])
    }
}
