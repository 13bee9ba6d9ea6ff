import Events
import GatewaySession
import GatewayWire
import JSON
import TestKit
import Testing

@Suite struct ShownPresenceTests {
    private let lobby: ChannelName
    private let hall: ChannelName
    private let start = Moment(milliseconds: 0)
    private let linger = Duration.seconds(4)

    init() throws {
        lobby = try ChannelName("room:lobby")
        hall = try ChannelName("room:hall")
    }

    private func after(_ milliseconds: Int64) -> Moment { Moment(milliseconds: milliseconds) }

    private func ann(_ client: String, _ info: JSONValue? = nil) -> ClientInfo {
        ClientInfo(client: client, user: "ann", info: info)
    }

    @Test("a client that comes back in time shows neither leave nor join, and is listed all the while")
    func blink() {
        var shown = ShownPresence(linger: linger)
        #expect(
            shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start)
                == PresenceChange(.joined, lobby, ann("1")))
        #expect(shown.apply(MembershipChange(.dropped, lobby, ann("1")), now: after(100)) == nil)
        #expect(shown.members(of: lobby) == [ann("1")])
        #expect(shown.advance(to: after(4099)).isEmpty)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("2")), now: after(4099)) == nil)
        #expect(shown.advance(to: after(60_000)).isEmpty)
        #expect(shown.members(of: lobby) == [ann("1")], "the channel goes on knowing it by the id it had")
        #expect(shown.statistics(of: lobby) == PresenceStatistics(clients: 1, users: 1))
        // Again, and then for good.
        #expect(shown.apply(MembershipChange(.dropped, lobby, ann("2")), now: after(70_000)) == nil)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("3")), now: after(71_000)) == nil)
        #expect(
            shown.apply(MembershipChange(.left, lobby, ann("3")), now: after(80_000))
                == PresenceChange(.left, lobby, ann("1")))
        #expect(shown.members(of: lobby).isEmpty)
        #expect(shown.advance(to: after(200_000)).isEmpty)
    }

    @Test("a client that does not come back in time has left when the time is over")
    func gone() {
        var shown = ShownPresence(linger: linger)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start)
        _ = shown.apply(MembershipChange(.dropped, lobby, ann("1")), now: start)
        #expect(shown.advance(to: after(3999)).isEmpty)
        #expect(shown.advance(to: after(4000)) == [PresenceChange(.left, lobby, ann("1"))])
        #expect(shown.members(of: lobby).isEmpty)
        #expect(
            shown.apply(MembershipChange(.joined, lobby, ann("2")), now: after(4001))
                == PresenceChange(.joined, lobby, ann("2")))
    }

    @Test("one that unsubscribes has left at once")
    func unsubscribed() {
        var shown = ShownPresence(linger: linger)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start)
        #expect(
            shown.apply(MembershipChange(.left, lobby, ann("1")), now: start)
                == PresenceChange(.left, lobby, ann("1")))
    }

    @Test("another user, another info, another channel and nobody in particular do not take the place")
    func others() {
        var shown = ShownPresence(linger: linger)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("1", ["name": "Ann"])), now: start)
        _ = shown.apply(MembershipChange(.dropped, lobby, ann("1", ["name": "Ann"])), now: start)
        let bob = ClientInfo(client: "2", user: "bob", info: ["name": "Ann"])
        #expect(shown.apply(MembershipChange(.joined, lobby, bob), now: start) != nil)
        #expect(shown.apply(MembershipChange(.joined, hall, ann("4", ["name": "Ann"])), now: start) != nil)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("3", ["name": "Anna"])), now: start)
        #expect(shown.advance(to: after(300)) == [PresenceChange(.joined, lobby, ann("3", ["name": "Anna"]))])
        #expect(shown.advance(to: after(4000)) == [PresenceChange(.left, lobby, ann("1", ["name": "Ann"]))])

        let nobody = ClientInfo(client: "5", user: "")
        #expect(shown.apply(MembershipChange(.joined, lobby, nobody), now: start) != nil)
        #expect(
            shown.apply(MembershipChange(.dropped, lobby, nobody), now: start)
                == PresenceChange(.left, lobby, nobody))
    }

    @Test("a client that is back before the news of its end shows neither join nor leave")
    func overtaken() {
        var shown = ShownPresence(linger: linger)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("2")), now: after(1000)) == nil)
        #expect(shown.statistics(of: lobby) == PresenceStatistics(clients: 2, users: 1))
        #expect(shown.apply(MembershipChange(.dropped, lobby, ann("1")), now: after(1100)) == nil)
        #expect(shown.members(of: lobby) == [ann("1")])
        #expect(shown.advance(to: after(60_000)).isEmpty)
        #expect(
            shown.apply(MembershipChange(.left, lobby, ann("2")), now: after(60_000))
                == PresenceChange(.left, lobby, ann("1")))
    }

    @Test("a second tab of a user is told a moment later, and goes by itself")
    func tabs() {
        var shown = ShownPresence(linger: linger)
        _ = shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("2")), now: start) == nil)
        #expect(shown.advance(to: after(299)).isEmpty)
        #expect(shown.advance(to: after(300)) == [PresenceChange(.joined, lobby, ann("2"))])
        _ = shown.apply(MembershipChange(.dropped, lobby, ann("1")), now: after(1000))
        #expect(shown.advance(to: after(5000)) == [PresenceChange(.left, lobby, ann("1"))])
        #expect(shown.members(of: lobby) == [ann("2")])
        // One that was not told yet goes as silently as it came.
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("3")), now: after(6000)) == nil)
        #expect(shown.apply(MembershipChange(.dropped, lobby, ann("3")), now: after(6100)) == nil)
        #expect(shown.advance(to: after(60_000)).isEmpty)
        #expect(shown.members(of: lobby) == [ann("2")])
    }

    @Test("without linger every end shows at once, and every coming")
    func noLinger() {
        var shown = ShownPresence(linger: .zero)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("1")), now: start) != nil)
        #expect(shown.apply(MembershipChange(.joined, lobby, ann("2")), now: start) != nil)
        #expect(
            shown.apply(MembershipChange(.dropped, lobby, ann("1")), now: start)
                == PresenceChange(.left, lobby, ann("1")))
        #expect(shown.members(of: lobby) == [ann("2")])
    }

    @Test(
        "whatever happens, ids come and go in turn, and those listed are those that came and have not gone",
        arguments: 0..<200)
    func follows(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var shown = ShownPresence(linger: linger)
        var connected: [String: ClientInfo] = [:]
        var followed: [String: ClientInfo] = [:]
        var now = start
        var next = 0
        func follow(_ changes: [PresenceChange]) {
            for change in changes {
                switch change.kind {
                case .joined:
                    #expect(followed.updateValue(change.info, forKey: change.info.client) == nil, "seed \(seed)")
                case .left: #expect(followed.removeValue(forKey: change.info.client) == change.info, "seed \(seed)")
                }
            }
        }
        for _ in 0..<300 {
            now = now.advanced(by: .milliseconds(Int64.random(in: 0...900, using: &random)))
            follow(shown.advance(to: now))
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                // Sometimes the same connection again, which rejoins a channel that it was made to leave.
                let isAgain = next > 0 && Bool.random(using: &random) && connected["\(next)"] == nil
                if !isAgain { next += 1 }
                let info = ClientInfo(client: "\(next)", user: ["ann", "bob", ""].randomElement(using: &random) ?? "")
                connected[info.client] = info
                follow(shown.apply(MembershipChange(.joined, lobby, info), now: now).map { [$0] } ?? [])
            default:
                guard let info = connected.values.sorted(by: { $0.client < $1.client }).randomElement(using: &random)
                else { continue }
                connected[info.client] = nil
                let kind: MembershipChange.Kind = Int.random(in: 0..<4, using: &random) == 0 ? .left : .dropped
                follow(shown.apply(MembershipChange(kind, lobby, info), now: now).map { [$0] } ?? [])
            }
        }
        now = now.advanced(by: .seconds(10))
        follow(shown.advance(to: now))
        #expect(Set(shown.members(of: lobby)) == Set(followed.values), "seed \(seed)")
        #expect(
            shown.members(of: lobby).map(\.user).sorted() == connected.values.map(\.user).sorted(), "seed \(seed)")
        #expect(
            shown.statistics(of: lobby)
                == PresenceStatistics(clients: connected.count, users: Set(connected.values.map(\.user)).count))
        for info in connected.values {
            follow(shown.apply(MembershipChange(.left, lobby, info), now: now).map { [$0] } ?? [])
        }
        #expect(followed.isEmpty, "seed \(seed)")
        #expect(shown.members(of: lobby).isEmpty)
    }
}
