import EventBus
import Events
import GatewaySession
import GatewayWire
import JSON
import Logging
import Synchronization
import Testing

@Suite struct ControlCodecTests {
    private static let selection = ConnectionSelection(
        user: "42", client: "c", session: "s", excluded: ["a", "b"])

    static let messages: [ControlMessage] = [
        .alive(node: "n", asks: true), .alive(node: "n", asks: false), .goodbye(node: "n"),
        .question(id: "1", node: "n", .figures), .question(id: "1", node: "n", .channels(pattern: nil)),
        .question(id: "1", node: "n", .channels(pattern: "room:*")),
        .question(id: "1", node: "n", .order(.disconnect(Disconnect(code: 4000, reason: "x")), selection)),
        .question(id: "1", node: "n", .order(.unsubscribe(nil), ConnectionSelection(user: "42"))),
        .question(id: "1", node: "n", .order(.refresh(expiresAt: nil), ConnectionSelection(user: "42"))),
        .question(
            id: "1", node: "n",
            .order(.refresh(expiresAt: Timestamp(seconds: 7)), ConnectionSelection(user: nil, client: "c"))),
        .answer(id: "1", node: "n", .done(3), isLast: true),
        .answer(id: "1", node: "n", .channels(["room:a": 2, "é": 1]), isLast: false),
        .answer(
            id: "1", node: "n",
            .figures(
                GatewayFigures(
                    name: "apus-gateway", version: "1", clients: 1, users: 2, subscriptions: 3, channels: 4,
                    uptimeSeconds: 5)), isLast: true),
    ]

    @Test("what one gateway writes another reads", arguments: messages)
    func roundTrip(message: ControlMessage) {
        #expect(ControlCodec.decode(ControlCodec.encode(message)) == message)
    }

    @Test("orders about channels, too")
    func channels() throws {
        let channel = try ChannelName("room:a b")
        for order: ControlOrder in [
            .unsubscribe(channel), .subscribe(channel, from: nil, data: nil),
            .subscribe(channel, from: StreamPosition(epoch: "e", offset: 9), data: ["a": [1]]),
        ] {
            let message = ControlMessage.question(id: "1", node: "n", .order(order, Self.selection))
            #expect(ControlCodec.decode(ControlCodec.encode(message)) == message)
        }
    }

    @Test("what no gateway writes is nothing, and never an order for everybody")
    func hostile() {
        for text in [
            "", "[]", "{}", "null", #"{"type":"alive"}"#, #"{"node":"n","type":"what"}"#,
            #"{"node":"n","type":"question","id":"1"}"#,
            #"{"node":"n","type":"question","id":"1","question":{"ask":"disconnect","code":3000,"reason":""}}"#,
            #"{"node":"n","type":"question","id":"1","question":{"ask":"disconnect","code":70000,"reason":"","user":"1"}}"#,
            #"{"node":"n","type":"question","id":"1","question":{"ask":"unsubscribe","channel":"a..b","user":"1"}}"#,
            #"{"node":"n","type":"question","id":"1","question":{"ask":"unsubscribe","channel":7,"user":"1"}}"#,
            #"{"node":"n","type":"question","id":"1","question":{"ask":"refresh","expires_at":"soon","user":"1"}}"#,
            #"{"node":"n","type":"answer","id":"1","answer":{"done":"all"}}"#,
        ] {
            #expect(ControlCodec.decode(Array(text.utf8)) == nil, "\(text)")
        }
        for message in Self.messages {
            let bytes = ControlCodec.encode(message)
            for length in 0..<bytes.count { #expect(ControlCodec.decode(Array(bytes[..<length])) == nil) }
        }
    }

    @Test("a selection takes those that all of it fits, and leaves the whitelisted alone")
    func selection() {
        let (client, session) = (RandomID(high: 1, low: 1), RandomID(high: 2, low: 2))
        func includes(_ selection: ConnectionSelection, user: String? = "42") -> Bool {
            ConnectionMatcher(selection).includes(user: user, client: client, session: session)
        }
        #expect(includes(ConnectionSelection(user: "42")))
        #expect(!includes(ConnectionSelection(user: "7")))
        #expect(!includes(ConnectionSelection(user: "42"), user: nil))
        #expect(includes(ConnectionSelection(user: nil, client: client.description), user: nil))
        #expect(!includes(ConnectionSelection(user: "42", client: session.description)))
        #expect(!includes(ConnectionSelection(user: "42", client: "what no connection is called")))
        #expect(includes(ConnectionSelection(user: "42", session: session.description)))
        #expect(!includes(ConnectionSelection(user: "42", session: "t")))
        #expect(!includes(ConnectionSelection(user: "42", excluded: ["d", client.description])))
        #expect(includes(ConnectionSelection(user: "42", excluded: ["d"])))
    }
}

@Suite struct ControlTableTests {
    private let now = Moment(milliseconds: 0)

    private func table(knowing others: String...) -> ControlTable {
        var table = ControlTable(node: "a")
        for other in others { _ = table.receive(.alive(node: other, asks: false), now: now) }
        return table
    }

    @Test("a question is answered when every gateway that was known has answered, in whatever order")
    func all() {
        var table = table(knowing: "b", "c")
        table.ask("1")
        #expect(table.receive(.answer(id: "1", node: "c", .done(1), isLast: true), now: now).finished == [:])
        #expect(table.answered("1", .done(0)).finished == [:])
        let effect = table.receive(.answer(id: "1", node: "b", .done(2), isLast: true), now: now)
        #expect(effect.finished == ["1": ["a": .done(0), "b": .done(2), "c": .done(1)]])
        #expect(table.giveUp("1") == nil)
    }

    @Test("alone, a gateway's own answer is all")
    func alone() {
        var table = table()
        table.ask("1")
        #expect(table.answered("1", .done(1)).finished == ["1": ["a": .done(1)]])
    }

    @Test("answers in parts are put together")
    func parts() {
        var table = table(knowing: "b")
        table.ask("1")
        _ = table.answered("1", .channels(["x": 1]))
        #expect(
            table.receive(.answer(id: "1", node: "b", .channels(["x": 2]), isLast: false), now: now).finished == [:])
        let effect = table.receive(.answer(id: "1", node: "b", .channels(["y": 3]), isLast: true), now: now)
        #expect(effect.finished == ["1": ["a": .channels(["x": 1]), "b": .channels(["x": 2, "y": 3])]])
    }

    @Test("a gateway that goes, or falls silent, is not waited for")
    func gone() {
        var table = table(knowing: "b", "c")
        table.ask("1")
        _ = table.answered("1", .done(0))
        #expect(table.receive(.goodbye(node: "b"), now: now).finished == [:])
        let late = now.advanced(by: ControlTable.lease + .seconds(1))
        #expect(table.expire(now: late).finished == ["1": ["a": .done(0)]])
        #expect(table.others == [])
    }

    @Test("whoever gives up gets what there is, and hears who is silent")
    func giveUp() {
        var table = table(knowing: "b")
        table.ask("1")
        _ = table.answered("1", .done(5))
        let given = table.giveUp("1")
        #expect(given?.answers == ["a": .done(5)] && given?.silent == ["b"])
        #expect(table.receive(.answer(id: "1", node: "b", .done(1), isLast: true), now: now).finished == [:])
    }

    @Test("what a gateway says itself is not taken for another's")
    func own() {
        var table = table()
        #expect(table.receive(.alive(node: "a", asks: true), now: now) == ControlTable.Effect())
        #expect(table.receive(.question(id: "1", node: "a", .figures), now: now).question == nil)
        #expect(table.others == [])
    }
}

@Suite(.timeLimit(.minutes(1))) struct ControlServiceTests {
    private let bus = MemoryBus()

    private func service(
        _ node: String, _ bus: MemoryBus, carryOut: @escaping @Sendable (ControlQuestion) async -> ControlAnswer
    ) -> ControlService {
        let ids = Mutex(0)
        return ControlService(
            node: node, bus: bus, subjects: .standard, logger: Logger(label: "test"),
            clock: { Moment(milliseconds: 0) },
            makeID: {
                ids.withLock { number in
                    number += 1
                    return "\(node)-\(number)"
                }
            }, carryOut: carryOut)
    }

    @Test("an order is carried out by every gateway before its sender is answered")
    func order() async throws {
        let done = Mutex<[String]>([])
        let services = ["a", "b", "c"].map { node in
            service(node, bus.anotherConnection()) { question in
                done.withLock { $0.append(node) }
                return .done(1)
            }
        }
        try await withThrowingDiscardingTaskGroup { group in
            for service in services { group.addTask { try await service.run() } }
            while services.contains(where: { $0.others.count < 2 }) { try await Task.sleep(for: .milliseconds(2)) }
            let answers = await services[0].ask(
                .order(.disconnect(.forced), ConnectionSelection(user: "42")))
            #expect(answers == ["a": .done(1), "b": .done(1), "c": .done(1)])
            #expect(done.withLock { $0.sorted() } == ["a", "b", "c"])
            group.cancelAll()
        }
    }

    @Test("channels of many gateways come whole, however many they are")
    func manyChannels() async throws {
        let names = (0..<2_000).map { "room:\($0)" }
        let a = service("a", bus.anotherConnection()) { _ in .channels(["room:1": 1]) }
        let b = service("b", bus.anotherConnection()) { _ in
            .channels(Dictionary(names.map { ($0, 2) }) { first, _ in first })
        }
        try await withThrowingDiscardingTaskGroup { group in
            for service in [a, b] { group.addTask { try await service.run() } }
            while a.others.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            let answers = await a.ask(.channels(pattern: nil))
            #expect(answers["a"] == .channels(["room:1": 1]))
            guard case .channels(let counts)? = answers["b"] else {
                Issue.record("b gave no channels")
                return
            }
            #expect(counts.count == names.count)
            group.cancelAll()
        }
    }

    @Test("a gateway that hangs is not waited for longer than the bound")
    func silent() async throws {
        let a = service("a", bus.anotherConnection()) { _ in .done(1) }
        let b = service("b", bus.anotherConnection()) { _ in
            try? await Task.sleep(for: .seconds(600))
            return .done(1)
        }
        try await withThrowingDiscardingTaskGroup { group in
            for service in [a, b] { group.addTask { try await service.run() } }
            while a.others.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            #expect(await a.ask(.figures) == ["a": .done(1)])
            group.cancelAll()
        }
    }
}

@Suite struct ChannelPatternTests {
    @Test(
        "patterns match as Centrifugo's do",
        arguments: [
            ("*", "room:a", true), ("room:*", "room:", true), ("room:*", "user:1", false), ("room:?", "room:a", true),
            ("room:?", "room:ab", false), ("room:[ab]", "room:b", true), ("room:[a-c]x", "room:cx", true),
            ("room:[!a-c]", "room:b", false), ("room:[!a-c]", "room:z", true), ("{room,user}:*", "user:1", true),
            ("{room,user}:*", "topic:1", false), ("r*m:*b*", "room:abc", true), ("", "", true), ("", "a", false),
            ("room:a", "room:a", true), ("**", "anything", true),
        ])
    func matching(pattern: String, name: String, isMatch: Bool) throws {
        #expect(try #require(ChannelPattern(pattern)).matches(name) == isMatch)
    }

    @Test(
        "a pattern that cannot be read is none",
        arguments: ["[", "{a", String(repeating: "a", count: 257), String(repeating: "{a,b}", count: 10)])
    func invalid(pattern: String) { #expect(ChannelPattern(pattern) == nil) }

    @Test("many stars are decided quickly", .timeLimit(.minutes(1)))
    func stars() throws {
        let pattern = try #require(ChannelPattern(String(repeating: "a*", count: 100) + "b"))
        #expect(!pattern.matches(String(repeating: "a", count: 200)))
    }
}
