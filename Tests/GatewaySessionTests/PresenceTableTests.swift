import Events
import GatewaySession
import GatewayWire
import JSON
import Testing

@Suite struct PresenceTableTests {
    private let lobby: ChannelName
    private let start = Moment(milliseconds: 0)

    init() throws { lobby = try ChannelName("room:lobby") }

    private func info(_ client: String) -> ClientInfo { ClientInfo(client: client, user: "u-\(client)") }

    @Test("a join and a leave are announced once each, by number")
    func announces() {
        var table = PresenceTable(node: "a")
        #expect(
            table.join(lobby, info("1"))?.1 == .change(node: "a", number: 1, PresenceChange(.joined, lobby, info("1"))))
        #expect(table.join(lobby, info("1")) == nil)
        #expect(
            table.leave(lobby, client: "1")?.1 == .change(node: "a", number: 2, PresenceChange(.left, lobby, info("1")))
        )
        #expect(table.leave(lobby, client: "1") == nil)
        #expect(table.members(of: lobby).isEmpty)
    }

    @Test("a missed announcement is noticed and mended by the whole state")
    func mends() throws {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = b.receive(a.state, now: start)
        _ = a.join(lobby, info("1"))  // never arrives
        let second = try #require(a.join(lobby, info("2"))?.1)
        #expect(b.receive(second, now: start).reply == .request(node: "b"))
        let state = try #require(a.receive(.request(node: "b"), now: start).reply)
        #expect(b.receive(state, now: start).changes.map(\.info.client) == ["1", "2"])
        #expect(b.members(of: lobby).map(\.client) == ["1", "2"])
        #expect(b.receive(a.heartbeat, now: start).reply == nil)
    }

    @Test("a gateway that falls silent is gone after the lease, with its clients")
    func expires() {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = a.join(lobby, info("1"))
        _ = b.receive(a.state, now: start)
        let almost = start.advanced(by: PresenceTable.lease)
        #expect(b.expire(now: almost).isEmpty)
        let after = almost.advanced(by: .milliseconds(1))
        #expect(b.expire(now: after) == [PresenceChange(.left, lobby, info("1"))])
        #expect(b.members(of: lobby).isEmpty)
    }

    @Test("a gateway that says goodbye takes its clients along at once")
    func goodbye() {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = a.join(lobby, info("1"))
        _ = b.receive(a.state, now: start)
        #expect(b.receive(.goodbye(node: "a"), now: start).changes == [PresenceChange(.left, lobby, info("1"))])
    }

    @Test("however announcements are lost, doubled and mixed, one state brings everybody together", arguments: 0..<60)
    func converges(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var tables = ["a", "b", "c"].map { PresenceTable(node: $0) }
        var inFlight: [PresenceAnnouncement] = []
        for step in 0..<80 {
            let index = Int.random(in: 0..<tables.count, using: &random)
            let client = "\(index)-\(Int.random(in: 0..<6, using: &random))"
            let change =
                Bool.random(using: &random)
                ? tables[index].join(lobby, info(client)) : tables[index].leave(lobby, client: client)
            if let announcement = change?.1 { inFlight.append(announcement) }
            if step % 3 == 0, let announcement = inFlight.randomElement(using: &random) {
                for receiver in tables.indices where Bool.random(using: &random) {
                    _ = tables[receiver].receive(announcement, now: start)
                }
            }
        }
        for state in tables.map(\.state).shuffled(using: &random) {
            for receiver in tables.indices {
                _ = tables[receiver].receive(state, now: start)
                _ = tables[receiver].receive(state, now: start)
            }
        }
        let views = tables.map { $0.members(of: lobby).map(\.client) }
        #expect(Set(views).count == 1, "seed \(seed): \(views)")
    }

    @Test("announcements survive the way over the bus")
    func codec() throws {
        let change = PresenceChange(.joined, lobby, ClientInfo(client: "c", user: "ü", info: ["name": "Zoë"]))
        let all: [PresenceAnnouncement] = [
            .change(node: "n", number: 3, change), .heartbeat(node: "n", number: 0), .request(node: "n"),
            .goodbye(node: "n"), .state(node: "n", number: 9, [lobby: [change.info]]),
        ]
        for announcement in all {
            #expect(PresenceCodec.decode(PresenceCodec.encode(announcement)) == announcement)
        }
        for garbage in ["", "[]", "{}", #"{"node":"n","type":"change"}"#, #"{"node":"n","type":"state","number":-1}"#] {
            #expect(PresenceCodec.decode(Array(garbage.utf8)) == nil)
        }
    }
}

/// SplitMix64: small, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
