import Events
import GatewayWire
import Testing

@testable import GatewaySession

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
    private let lobby: ShardChannel
    private let other: ShardChannel

    init() throws {
        func channel(_ name: String) throws -> ShardChannel {
            let traits = NamespaceTraits(Namespace(name: "room", subscribe: .anyone))
            return ShardChannel(name: try ChannelName(name), namespace: traits, shard: nil)
        }
        lobby = try channel("room:lobby")
        other = try channel("room:other")
    }

    private func message(_ sequence: UInt64, bytes: Int = 1) -> ChannelDelivery {
        .message(
            ChannelMessage(
                publication: Publication(payload: Array(repeating: 0x30, count: bytes), offset: sequence),
                storedAt: Timestamp(seconds: 0)))
    }

    private func describe(_ items: [ShardInbox.Item]) -> [String] {
        items.map { item in
            switch item.delivery {
            case .message(let message): "\(item.channel.name) \(message.sequence)"
            case .interrupted(let generation): "\(item.channel.name) interrupted \(generation)"
            case .presence: "\(item.channel.name) presence"
            case .started: "\(item.channel.name) started"
            case .startFailed: "\(item.channel.name) failed"
            }
        }
    }

    @Test("the first delivery wakes, and what is taken is in order")
    func order() {
        var inbox = ShardInbox()
        #expect(inbox.append(message(1), for: lobby) == .wake)
        #expect(inbox.append(message(2), for: other) == .queued)
        #expect(describe(inbox.take().items) == ["room:lobby 1", "room:other 2"])
        #expect(inbox.append(message(3), for: lobby) == .wake)
    }

    @Test("a channel that loses a message gets no later one, and is interrupted")
    func overflow() {
        var inbox = ShardInbox(maximumCount: 3)
        _ = inbox.append(message(1), for: lobby)
        _ = inbox.append(message(2), for: other)
        _ = inbox.append(message(3), for: lobby)
        #expect(inbox.append(message(4), for: lobby) == .dropped)
        #expect(inbox.append(message(5), for: lobby) == .dropped)
        #expect(inbox.append(.interrupted(generation: 1), for: other) == .queued)
        #expect(inbox.append(message(6), for: other) == .dropped)
        let taken = inbox.take()
        #expect(describe(taken.items) == ["room:lobby 1", "room:other 2", "room:lobby 3"])
        #expect(Set(taken.outrun.map(\.name.description)) == ["room:lobby", "room:other"])
        #expect(inbox.append(message(7), for: lobby) == .wake)
        #expect(describe(inbox.take().items) == ["room:lobby 7"])
        #expect(inbox.take().outrun.isEmpty)
    }

    @Test("bytes are bounded, but one large message always fits into an empty inbox")
    func bytes() {
        var inbox = ShardInbox(maximumBytes: 100)
        #expect(inbox.append(message(1, bytes: 1000), for: lobby) == .wake)
        #expect(inbox.append(message(2, bytes: 1), for: other) == .dropped)
        let taken = inbox.take()
        #expect(describe(taken.items) == ["room:lobby 1"])
        #expect(taken.outrun.map(\.name.description) == ["room:other"])
    }
}
