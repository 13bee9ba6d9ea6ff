import Events
import GatewaySession
import GatewayWire
import JSON
import TestKit
import Testing

@Suite struct PresenceTableTests {
    private let lobby: ChannelName
    private let start = Moment(milliseconds: 0)

    init() throws { lobby = try ChannelName("room:lobby") }

    private func info(_ client: String) -> ClientInfo { ClientInfo(client: client, user: "u-\(client)") }

    private func gone(_ client: String) -> ClientInfo { ClientInfo(client: client, user: "") }

    @Test("what comes in one tick is announced at once, by number")
    func announces() {
        var table = PresenceTable(node: "a")
        #expect(table.takePending() == nil)
        #expect(table.join(lobby, info("1")) == MembershipChange(.joined, lobby, info("1")))
        #expect(table.join(lobby, info("1")) == nil)
        #expect(table.join(lobby, info("2")) != nil)
        #expect(
            table.takePending()
                == .changes(
                    node: "a", first: 1,
                    [MembershipChange(.joined, lobby, info("1")), MembershipChange(.joined, lobby, info("2"))]))
        #expect(table.takePending() == nil)
        #expect(table.leave(lobby, client: "1", .dropped) == MembershipChange(.dropped, lobby, info("1")))
        #expect(table.leave(lobby, client: "1", .left) == nil)
        #expect(
            table.takePending() == .changes(node: "a", first: 3, [MembershipChange(.dropped, lobby, info("1"))]))
        #expect(table.members(of: lobby).map(\.client) == ["2"])
    }

    @Test("a missed announcement is noticed and mended by the whole state, asked for once")
    func mends() throws {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = b.receive(a.state, now: start)
        _ = a.join(lobby, info("1"))
        _ = a.takePending()  // never arrives
        _ = a.join(lobby, info("2"))
        let taken = a.takePending()
        let second = try #require(taken)
        #expect(b.receive(second, now: start).request == "a")
        #expect(b.receive(second, now: start).request == nil, "an answer is on its way")
        #expect(b.receive(second, now: Moment(milliseconds: 1000)).request == "a", "it got lost")
        #expect(a.receive(.request(node: "b", of: "a"), now: start).mustTellState)
        #expect(!a.receive(.request(node: "b", of: "c"), now: start).mustTellState)
        #expect(a.receive(.request(node: "b", of: nil), now: start).mustTellState)
        #expect(b.receive(a.state, now: start).changes.map(\.info.client) == ["1", "2"])
        #expect(b.members(of: lobby).map(\.client) == ["1", "2"])
        #expect(b.receive(a.heartbeat, now: start) == PresenceTable.Effect())
    }

    @Test("a roster that differs although the numbers agree is seen by the heartbeat's digest")
    func digest() {
        var b = PresenceTable(node: "b")
        _ = b.receive(.state(node: "a", number: 1, part: 0, of: 1, []), now: start)
        var a = PresenceTable(node: "a")
        _ = a.join(lobby, info("1"))
        #expect(b.receive(a.heartbeat, now: start).request == "a")
        #expect(b.receive(a.state, now: start).changes == [MembershipChange(.joined, lobby, info("1"))])
        #expect(b.receive(a.heartbeat, now: start).request == nil)
    }

    @Test("a gateway that falls silent is gone after the lease and not before, with its clients")
    func expires() {
        let lease = Duration.seconds(8)
        var a = PresenceTable(node: "a", lease: lease)
        var b = PresenceTable(node: "b", lease: lease)
        _ = a.join(lobby, info("1"))
        _ = b.receive(a.state, now: start)
        let almost = start.advanced(by: lease)
        let after = almost.advanced(by: .milliseconds(1))
        _ = b.receive(b.heartbeat, now: start)
        _ = b.receive(b.heartbeat, now: start.advanced(by: .seconds(4)))
        _ = b.receive(b.heartbeat, now: almost)
        #expect(b.expire(now: almost).isEmpty)
        #expect(b.expire(now: after) == [MembershipChange(.left, lobby, info("1"))])
        #expect(b.members(of: lobby).isEmpty)
        #expect(b.others == 0)
        // It was only cut off: it comes back as it was.
        #expect(b.receive(a.heartbeat, now: after).request == "a")
        #expect(b.receive(a.state, now: after).changes == [MembershipChange(.joined, lobby, info("1"))])
    }

    @Test("a gateway that hears nobody, itself included, takes nobody for dead")
    func deaf() {
        let lease = Duration.seconds(8)
        let a = PresenceTable(node: "a", lease: lease)
        var b = PresenceTable(node: "b", lease: lease)
        _ = b.receive(a.state, now: start)
        _ = b.receive(b.heartbeat, now: start)
        let later = start.advanced(by: .seconds(60))
        #expect(b.expire(now: later).isEmpty)
        #expect(b.others == 1)
        // It hears again: the others have a whole lease to be heard.
        _ = b.receive(b.heartbeat, now: later)
        #expect(b.expire(now: later).isEmpty)
        for second in 1...8 { _ = b.receive(b.heartbeat, now: later.advanced(by: .seconds(second))) }
        #expect(b.expire(now: later.advanced(by: .seconds(8))).isEmpty)
        #expect(b.others == 1)
        _ = b.expire(now: later.advanced(by: .milliseconds(8001)))
        #expect(b.others == 0)
    }

    @Test("the clients of a gateway that says goodbye are dropped: they may come back elsewhere")
    func goodbye() {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = a.join(lobby, info("1"))
        _ = b.receive(a.state, now: start)
        #expect(
            b.receive(.goodbye(node: "a"), now: start).changes == [MembershipChange(.dropped, lobby, info("1"))])
    }

    @Test("a state in parts is one, in whatever order they come and however often", arguments: 0..<20)
    func parts(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var a = PresenceTable(node: "a")
        for number in 0..<50 { _ = a.join(lobby, info("\(number)")) }
        let messages = PresenceCodec.encode(a.state, maximumBytes: 500)
        #expect(messages.count > 10)
        var b = PresenceTable(node: "b")
        let doubled = (messages + messages.dropLast()).shuffled(using: &random)
        for message in doubled { _ = b.receive(try #require(PresenceCodec.decode(message)), now: start) }
        for message in messages { _ = b.receive(try #require(PresenceCodec.decode(message)), now: start) }
        #expect(b.members(of: lobby) == a.members(of: lobby), "seed \(seed)")
    }

    @Test("parts of an older state add nothing to a newer one")
    func staleParts() {
        let one = [PresenceMember(lobby, info("1"))]
        let two = [PresenceMember(lobby, info("2"))]
        var b = PresenceTable(node: "b")
        _ = b.receive(.state(node: "a", number: 1, part: 0, of: 2, one), now: start)
        _ = b.receive(.state(node: "a", number: 2, part: 1, of: 2, two), now: start)
        _ = b.receive(.state(node: "a", number: 1, part: 1, of: 2, one), now: start)
        #expect(b.members(of: lobby).isEmpty)
        _ = b.receive(.state(node: "a", number: 2, part: 0, of: 2, []), now: start)
        #expect(b.members(of: lobby) == [info("2")])
        for (part, total) in [(-1, 2), (2, 2), (0, 0), (0, Int.max), (Int.min, 1)] {
            let effect = b.receive(.state(node: "a", number: 9, part: part, of: total, one), now: start)
            #expect(effect == PresenceTable.Effect())
        }
    }

    /// Three gateways whose announcements get lost, doubled and mixed.
    private struct Network {
        var tables = ["a", "b", "c"].map { PresenceTable(node: $0) }
        var now = Moment(milliseconds: 0)

        mutating func deliver(_ announcement: PresenceAnnouncement, to index: Int) -> [PresenceAnnouncement] {
            let effect = tables[index].receive(announcement, now: now)
            return (effect.mustTellState ? [tables[index].state] : [])
                + (effect.request.map { [.request(node: tables[index].node, of: $0)] } ?? [])
        }

        /// Two rounds of heartbeats that arrive, with all that follows from them.
        mutating func settle() {
            for _ in 0..<2 {
                now = now.advanced(by: .seconds(2))
                var inFlight = tables.indices.compactMap { tables[$0].takePending() } + tables.map(\.heartbeat)
                while let announcement = inFlight.first {
                    inFlight.removeFirst()
                    for index in tables.indices { inFlight += deliver(announcement, to: index) }
                }
            }
        }
    }

    @Test("however announcements are lost, doubled and mixed, heartbeats bring everybody together", arguments: 0..<100)
    func converges(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var network = Network()
        var inFlight: [PresenceAnnouncement] = []
        for _ in 0..<200 {
            let index = Int.random(in: 0..<3, using: &random)
            let client = "\(index)-\(Int.random(in: 0..<6, using: &random))"
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1: _ = network.tables[index].join(lobby, info(client))
            case 2: _ = network.tables[index].leave(lobby, client: client, .left)
            case 3: inFlight += network.tables[index].takePending().map { [$0] } ?? []
            case 4: inFlight.append(Bool.random(using: &random) ? network.tables[index].heartbeat : .goodbye(node: "x"))
            default:
                guard let announcement = inFlight.randomElement(using: &random) else { continue }
                inFlight += network.deliver(announcement, to: index)
                if inFlight.count > 30 { inFlight.removeFirst(15) }
            }
        }
        network.settle()
        let own = network.tables.map { Set($0.members(of: lobby).map(\.client)) }
        #expect(Set(own).count == 1, "seed \(seed): \(own)")
        let announced = network.tables.map(\.heartbeat)
        for heartbeat in announced {
            for index in network.tables.indices {
                #expect(network.deliver(heartbeat, to: index).isEmpty, "seed \(seed): nothing is left to mend")
            }
        }
    }

    @Test("the order in which three states come makes no difference, nor that each comes twice")
    func merges() {
        var tables = ["a", "b", "c"].map { PresenceTable(node: $0) }
        for index in 0..<3 {
            for number in 0...index { _ = tables[index].join(lobby, info("\(index)-\(number)")) }
        }
        let states = tables.map(\.state)
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        let views = orders.map { order in
            var viewer = PresenceTable(node: "v")
            for index in order + order { _ = viewer.receive(states[index], now: start) }
            return viewer.members(of: lobby).map(\.client)
        }
        #expect(Set(views).count == 1)
        #expect(views[0].count == 6)
    }

    @Test("announcements survive the way over the bus")
    func codec() throws {
        let member = ClientInfo(client: "c", user: "ü", info: ["name": "Zoë"])
        let all: [PresenceAnnouncement] = [
            .changes(
                node: "n", first: 3,
                [
                    MembershipChange(.joined, lobby, member), MembershipChange(.left, lobby, gone("c")),
                    MembershipChange(.dropped, lobby, gone("d")),
                ]),
            .heartbeat(node: "n", number: 0, digest: .max), .request(node: "n", of: nil),
            .request(node: "n", of: "m"), .goodbye(node: "n"),
            .state(node: "n", number: 9, part: 0, of: 1, [PresenceMember(lobby, member)]),
            .state(node: "n", number: 0, part: 0, of: 1, []),
        ]
        for announcement in all {
            #expect(PresenceCodec.encode(announcement).map(PresenceCodec.decode) == [announcement])
        }
        for garbage in [
            "", "[]", "{}", #"{"node":"n","type":"changes"}"#, #"{"node":"n","type":"state","number":-1}"#,
            #"{"node":"n","type":"state","number":1,"part":0,"of":1,"members":[{}]}"#,
            #"{"node":"n","type":"changes","first":1,"changes":[{"kind":"left","channel":"room:","client":"c"}]}"#,
            #"{"node":"n","type":"heartbeat","number":9223372036854775807,"digest":0}"#,
            #"{"node":"n","type":"heartbeat","number":1}"#,
        ] {
            #expect(PresenceCodec.decode(Array(garbage.utf8)) == nil, "\(garbage)")
        }
    }

    @Test("a crowd is announced in messages of bounded size, and numbered on")
    func chunks() throws {
        var a = PresenceTable(node: "a")
        var b = PresenceTable(node: "b")
        _ = b.receive(a.state, now: start)
        for number in 0..<3000 {
            _ = a.join(lobby, ClientInfo(client: "client-\(number)", user: "\(number)", info: ["name": "somebody"]))
        }
        let taken = a.takePending()
        let announcement = try #require(taken)
        let messages = PresenceCodec.encode(announcement)
        #expect(messages.count > 1)
        #expect(messages.allSatisfy { $0.count <= PresenceCodec.maximumBytes })
        for message in messages {
            #expect(b.receive(try #require(PresenceCodec.decode(message)), now: start).request == nil)
        }
        #expect(b.members(of: lobby).count == 3000)
        #expect(PresenceCodec.encode(a.state).allSatisfy { $0.count <= PresenceCodec.maximumBytes })
        let giant = ClientInfo(client: "giant", user: "g", info: .string(String(repeating: "x", count: 100_000)))
        _ = a.join(lobby, giant)
        let takenAgain = a.takePending()
        let large = try #require(takenAgain)
        #expect(PresenceCodec.encode(large).count == 1, "what cannot be cut goes as it is")
    }
}
