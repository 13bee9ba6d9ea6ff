import JSON
import TestKit
import Testing

@testable import NATSClient

private final class Nobody: CoreReceiver {
    func receive(_ message: CoreMessage) {}
}

/// A machine, a server that is played by the test, and a clock that stands still until it is moved.
private struct Stage {
    var machine: CoreMachine
    var now = ContinuousClock.now

    init(_ servers: [String] = ["nats://one"], seed: UInt64 = 1) {
        machine = CoreMachine(NATSConnectionOptions(servers: servers), seed: seed)
    }

    /// What the machine writes, as lines.
    mutating func written() -> [String] {
        var bytes: [UInt8] = []
        while case let more = machine.takeCommands(), !more.isEmpty { bytes += more }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    @discardableResult
    mutating func subscribe(_ subject: String, queue: String? = nil) throws -> CoreSubscriptions.ID {
        try machine.subscribe(subject, queue: queue, Nobody())
    }

    /// Brings a started machine to the point where it is connected.
    /// - Returns: the lines that it has written, and what it has told.
    @discardableResult
    mutating func connect(information: String = "{}") -> (lines: [String], actions: [CoreAction]) {
        _ = machine.opened(now: now)
        let actions = machine.informed(Array(information.utf8), now: now)
        guard case .introduce? = actions.first else { return ([], actions) }
        machine.introduce(CoreIntroduction(name: "n"), now: now)
        var lines = written()
        _ = machine.ponged(now: now)
        lines += written()
        return (lines, machine.ponged(now: now))
    }

    /// Moves the clock to the next deadline.
    mutating func wait() -> [CoreAction] {
        guard let deadline = machine.deadline else { return [] }
        now = max(now, deadline)
        return machine.due(now: now)
    }

    mutating func expectAttempt(_ actions: [CoreAction] = [], location: SourceLocation = #_sourceLocation) {
        let server = nextAttempt(actions)
        #expect(server != nil, "nothing is tried", sourceLocation: location)
    }

    /// The server that an attempt is made to, after as many pauses as there are.
    mutating func nextAttempt(_ actions: [CoreAction] = []) -> CoreServer? {
        var actions = actions
        for _ in 0..<3 {
            for case .connect(let server) in actions { return server }
            actions = wait()
        }
        return nil
    }
}

@Suite("A core connection's decisions")
struct CoreMachineTests {
    @Test(
        "a message is written with its headers and lengths, and refused while there is no connection or it is too large"
    )
    func publish() throws {
        var stage = Stage()
        let message = NATSMessage(subject: "a.b", headers: ["N": "v", "M": "ü"], payload: Array("hello".utf8))
        #expect(stage.machine.refusal(of: message)?.code == .notConnected)
        stage.expectAttempt(stage.machine.start(now: stage.now))
        #expect(throws: NATSError.self) { try stage.machine.publish(message, replyTo: nil) }
        stage.connect(information: #"{"max_payload":100}"#)
        try stage.machine.publish(NATSMessage(subject: "c", payload: Array("x".utf8)), replyTo: nil)
        try stage.machine.publish(message, replyTo: "r.1")
        #expect(
            String(decoding: stage.machine.takeCommands(), as: UTF8.self)
                == "PUB c 1\r\nx\r\nHPUB a.b r.1 25 30\r\nNATS/1.0\r\nN: v\r\nM: ü\r\n\r\nhello\r\n")
        let large = NATSMessage(subject: "c", payload: [UInt8](repeating: 0, count: 101))
        #expect(stage.machine.refusal(of: large)?.code == .payloadTooLarge)
        _ = stage.machine.close()
        #expect(stage.machine.refusal(of: message)?.code == .closed)
    }

    @Test("it introduces itself, makes its subscriptions, and is connected when the server has them")
    func handshake() throws {
        var stage = Stage()
        try stage.subscribe("a.*")
        try stage.subscribe("b", queue: "q")
        let server = try #require(CoreServer(url: "nats://one"))
        #expect(stage.machine.start(now: stage.now) == [.connect(server)])
        #expect(stage.machine.opened(now: stage.now) == [])
        #expect(
            stage.machine.informed(Array("{\"nonce\":\"n\"}".utf8), now: stage.now) == [.introduce(server, nonce: "n")])
        stage.machine.introduce(CoreIntroduction(name: "me", token: "t"), now: stage.now)
        let first = stage.written()
        #expect(first.count == 2 && first[0].hasPrefix("CONNECT {") && first[1] == "PING")
        let said = try JSONValue(parsing: String(first[0].dropFirst(8)))
        #expect(said["name"] == "me" && said["auth_token"] == "t" && said["user"] == nil && said["headers"] == true)
        #expect(stage.machine.ponged(now: stage.now) == [])
        #expect(stage.written() == ["SUB a.* 0", "SUB b q 1", "PING"])
        #expect(!stage.machine.isConnected)
        #expect(stage.machine.ponged(now: stage.now) == [.emit(.connected)])
        #expect(stage.machine.isConnected)
        try stage.subscribe("c")
        #expect(stage.written() == ["SUB c 2"])
        stage.machine.pinged()
        #expect(stage.written() == ["PONG"])
    }

    @Test("after a loss it tells, comes back within a moment, and makes all subscriptions anew in pieces")
    func resubscribing() throws {
        var stage = Stage()
        for number in 0..<10_000 { try stage.subscribe("some.channel.number.\(number)") }
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        let lost = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
        #expect(lost == [.disconnect, .emit(.disconnected)])
        let before = stage.now
        stage.expectAttempt()
        #expect(stage.now - before <= .milliseconds(50))
        _ = stage.machine.opened(now: stage.now)
        _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
        stage.machine.introduce(CoreIntroduction(), now: stage.now)
        _ = stage.written()
        _ = stage.machine.ponged(now: stage.now)
        var pieces: [Int] = []
        var lines = 0
        // One that is ended and one that is made while that goes on.
        while case let piece = stage.machine.takeCommands(), !piece.isEmpty {
            pieces.append(piece.count)
            lines += String(decoding: piece, as: UTF8.self).split(separator: "\r\n").count { $0.hasPrefix("SUB") }
        }
        #expect(lines == 10_000)
        #expect(pieces.count < 10 && pieces.allSatisfy { $0 <= CoreMachine.chunk + 100 })
        #expect(stage.machine.ponged(now: stage.now) == [.emit(.connected)])
    }

    @Test("what is subscribed and ended while the subscriptions are made anew comes to the server once, in order")
    func changesWhileSubscribing() throws {
        var stage = Stage()
        var ids: [CoreSubscriptions.ID] = []
        for number in 0..<5000 { ids.append(try stage.subscribe("channel.\(number)")) }
        _ = stage.machine.start(now: stage.now)
        _ = stage.machine.opened(now: stage.now)
        _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
        stage.machine.introduce(CoreIntroduction(), now: stage.now)
        _ = stage.written()
        _ = stage.machine.ponged(now: stage.now)
        let first = String(decoding: stage.machine.takeCommands(), as: UTF8.self)
        #expect(first.hasPrefix("SUB channel.0 0\r\n") && !first.contains("SUB channel.4999"))
        stage.machine.unsubscribe(ids[0])
        stage.machine.unsubscribe(ids[4999])
        try stage.subscribe("late")
        let rest = stage.written()
        #expect(rest.filter { $0.hasPrefix("UNSUB") } == ["UNSUB 0"])
        #expect(rest.filter { $0.contains("late") } == ["SUB late 4999"])
        #expect(!rest.contains { $0.contains("channel.4999") })
        #expect(rest.last == "PING")
    }

    @Test("one PING answers all who wait, behind everything that was asked before")
    func flushes() throws {
        var stage = Stage()
        #expect(throws: NATSError(.notConnected, "")) { try stage.machine.flush(1) }
        _ = stage.machine.start(now: stage.now)
        try stage.machine.flush(0)
        let (lines, actions) = stage.connect()
        #expect(lines.dropFirst() == ["PING", "PING"])
        #expect(actions == [.emit(.connected), .answer([0], nil)])
        try stage.subscribe("a")
        try stage.machine.flush(1)
        try stage.subscribe("b")
        try stage.machine.flush(2)
        #expect(stage.written() == ["SUB a 0", "SUB b 1", "PING"])
        try stage.machine.flush(3)
        #expect(stage.written() == ["PING"])
        #expect(stage.machine.ponged(now: stage.now) == [.answer([1, 2], nil)])
        let lost = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
        #expect(lost.contains(.answer([3], .notConnected)))
    }

    @Test("at the start a flush waits for the first attempt, and on the way back for the last of the subscriptions")
    func earlyFlushes() throws {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        try stage.machine.flush(1)
        let failed = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
        #expect(failed == [.disconnect, .answer([1], .notConnected)])
        stage.expectAttempt()
        #expect(throws: NATSError(.notConnected, "")) { try stage.machine.flush(2) }
        for number in 0..<5000 { try stage.subscribe("channel.\(number)") }
        _ = stage.machine.opened(now: stage.now)
        _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
        stage.machine.introduce(CoreIntroduction(), now: stage.now)
        _ = stage.written()
        _ = stage.machine.ponged(now: stage.now)
        _ = stage.machine.takeCommands()
        try stage.machine.flush(3)
        // Asked for in the midst of it, as when it takes long.
        #expect(stage.wait() == [])
        let rest = stage.written()
        #expect(rest.last == "PING" && rest.count { $0 == "PING" } == 2)
        #expect(stage.machine.ponged(now: stage.now) == [])
        #expect(stage.machine.ponged(now: stage.now) == [.emit(.connected), .answer([3], nil)])
    }

    @Test("a number is used again only when the server has answered behind the end of its subscription")
    func numbers() throws {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        let first = try stage.subscribe("a")
        stage.machine.unsubscribe(first)
        stage.machine.unsubscribe(first)
        #expect(stage.written() == ["SUB a 0", "UNSUB 0"])
        try stage.subscribe("b")
        #expect(stage.written() == ["SUB b 1"])
        try stage.machine.flush(1)
        _ = stage.written()
        _ = stage.machine.ponged(now: stage.now)
        try stage.subscribe("c")
        #expect(stage.written() == ["SUB c 0"])
        // The former owner of the number has nothing to say about the present one.
        stage.machine.unsubscribe(first)
        #expect(stage.written() == [])
        #expect(stage.machine.subscriptions.all.first { $0.id.number == 0 }?.subject == "c")
    }

    @Test("many ended subscriptions have the server asked for an answer, so that numbers do not run away")
    func manyEnded() throws {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        for _ in 0..<20 {
            for number in 0..<500 { stage.machine.unsubscribe(try stage.subscribe("a.\(number)")) }
            let pings = stage.written().count { $0 == "PING" }
            for _ in 0..<pings { _ = stage.machine.ponged(now: stage.now) }
        }
        #expect(stage.machine.subscriptions.end <= 3 * 500 + CoreMachine.retiredBeforePing)
    }

    @Test("a server that says nothing is asked, and left when it stays silent; one that speaks is kept")
    func liveness() {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        for _ in 0..<20 {
            stage.machine.heard()
            #expect(stage.wait() == [])
            #expect(stage.written() == ["PING"])
            #expect(stage.machine.ponged(now: stage.now) == [])
        }
        let start = stage.now
        var actions: [CoreAction] = []
        while actions.isEmpty { actions = stage.wait() }
        #expect(actions == [.disconnect, .emit(.disconnected)])
        #expect(stage.now - start <= .seconds(15))
    }

    @Test("an attempt and a handshake that take too long are given up", arguments: 0..<3)
    func timeouts(step: Int) {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        if step > 0 { _ = stage.machine.opened(now: stage.now) }
        if step > 1 {
            _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
            stage.machine.introduce(CoreIntroduction(), now: stage.now)
        }
        #expect(stage.wait() == [.disconnect])
        stage.expectAttempt()
    }

    @Test("every server is tried before any is tried again, and pauses grow to their limit and differ")
    func rounds() throws {
        var pauses: [[Duration]] = []
        for seed in 0..<2 as Range<UInt64> {
            var stage = Stage(["nats://one", "nats://two", "nats://three"], seed: seed)
            var actions = stage.machine.start(now: stage.now)
            var round: [Duration] = []
            for _ in 0..<10 {
                var tried: Set<String> = []
                let start = stage.now
                for _ in 0..<3 {
                    let server = stage.nextAttempt(actions)
                    tried.insert(try #require(server).host)
                    actions = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
                    #expect(actions == [.disconnect])
                }
                #expect(tried == ["one", "two", "three"])
                actions = stage.wait()
                round.append(stage.now - start)
            }
            #expect(round[0] <= .milliseconds(50))
            #expect(round.allSatisfy { $0 <= .seconds(2) })
            #expect(round[9] >= .seconds(1))
            pauses.append(round)
        }
        #expect(pauses[0] != pauses[1])
    }

    @Test("servers that a server names are tried too, with the same user, and forgotten when it names others")
    func learnedServers() throws {
        var stage = Stage(["nats://me:secret@one:1"])
        _ = stage.machine.start(now: stage.now)
        stage.connect(information: #"{"connect_urls":["one:1","two:2","[::1]:3","","x y:1",":","a:99999999"]}"#)
        var seen: Set<String> = []
        for _ in 0..<3 {
            _ = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
            let attempt = stage.nextAttempt()
            let server = try #require(attempt)
            #expect(server.user == "me" && server.password == "secret")
            seen.insert(server.address)
        }
        #expect(seen == ["one:1", "two:2", "[::1]:3"])
        stage.connect(information: #"{"connect_urls":["four:4"]}"#)
        #expect(stage.machine.servers.count == 2)
    }

    @Test("a refused user is told once with every reason, and tried again")
    func refusedUser() {
        var stage = Stage()
        var actions = stage.machine.start(now: stage.now)
        for attempt in 0..<3 {
            stage.expectAttempt(actions)
            _ = stage.machine.opened(now: stage.now)
            _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
            stage.machine.introduce(CoreIntroduction(), now: stage.now)
            actions = stage.machine.refused(Array("'Authorization Violation'".utf8), now: stage.now)
            let told = actions.contains(.emit(.shutOut(NATSError(.permission, ""))))
            #expect(told == (attempt == 0))
        }
        stage.expectAttempt()
        #expect(stage.connect().actions == [.emit(.connected)])
    }

    @Test("what the server says with -ERR ends the connection or not, as it does for the server")
    func errors() {
        func refusal(_ text: String) -> CoreRefusal { CoreRefusal(Array(text.utf8)) }
        #expect(
            refusal("'Permissions Violation for Subscription to \"a\"'") == .ofCommand(NATSError(.permission, "")))
        #expect(refusal("'maximum subscriptions exceeded'") == .ofCommand(NATSError(.failed, "")))
        #expect(refusal("'User Authentication Expired'") == .ofConnection(NATSError(.permission, "")))
        #expect(refusal("'Authentication Timeout'") == .ofConnection(NATSError(.notConnected, "")))
        #expect(refusal("'Stale Connection'") == .ofConnection(NATSError(.notConnected, "")))
        #expect(refusal("'Slow Consumer'") == .ofConnection(NATSError(.notConnected, "")))
        #expect(refusal("'Secure Connection - TLS Required'") == .requiresTLS)
        #expect(refusal("'Parser Error'") == .ofConnection(NATSError(.failed, "")))
        #expect(refusal("\u{1}\n\u{7F}") == .ofConnection(NATSError(.failed, "")))
    }

    @Test("a server that requires TLS is left to another client, before anything is said to it")
    func requiresTLS() {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        let (lines, actions) = stage.connect(information: #"{"tls_required":true}"#)
        #expect(lines.isEmpty)
        #expect(actions == [.disconnect, .giveUp(.serverRequiresTLS)])
        #expect(stage.machine.deadline == nil)
    }

    @Test("a server that is about to leave says so, and one that is none is left")
    func lameDuckAndOther() {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        #expect(stage.machine.informed(Array(#"{"ldm":true}"#.utf8), now: stage.now) == [.emit(.lameDuck)])
        #expect(stage.machine.informed(Array("nonsense".utf8), now: stage.now).first == .disconnect)
    }

    @Test("made anew it has lost nothing of its subscriptions, and closed it takes none")
    func reconnectAndClose() throws {
        var stage = Stage()
        try stage.subscribe("a")
        #expect(stage.machine.reconnect(now: stage.now) == [])
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        #expect(stage.machine.reconnect(now: stage.now) == [.disconnect, .emit(.disconnected)])
        stage.expectAttempt()
        #expect(stage.connect().lines.contains("SUB a 0"))
        try stage.machine.flush(7)
        #expect(stage.machine.close() == [.disconnect, .answer([7], .closed), .emit(.closed)])
        #expect(stage.machine.close() == [])
        #expect(throws: NATSError(.closed, "")) { try stage.subscribe("b") }
        #expect(throws: NATSError(.closed, "")) { try stage.machine.flush(8) }
        #expect(stage.machine.deadline == nil)
    }

    @Test("a server that takes nothing is left before what waits for it grows without end")
    func stuck() throws {
        var stage = Stage()
        _ = stage.machine.start(now: stage.now)
        stage.connect()
        let subject = String(repeating: "x", count: 1000)
        var left: [CoreAction] = []
        for _ in 0..<20_000 where left.isEmpty {
            try stage.subscribe(subject)
            left = stage.machine.isStuck(now: stage.now)
        }
        #expect(left == [.disconnect, .emit(.disconnected)])
        #expect(stage.machine.commands.bytes.isEmpty)
    }

    @Test(
        "URLs of servers are read as libnats reads them",
        arguments: [
            ("nats://h", "h:4222", nil, nil, nil), ("nats://h:1/", "h:1", nil, nil, nil),
            ("h:1", "h:1", nil, nil, nil), ("nats://u:p@h", "h:4222", "u", "p", nil),
            ("nats://t@h:5", "h:5", nil, nil, "t"), ("nats://[::1]:7", "[::1]:7", nil, nil, nil),
            ("nats://u:@h", "h:4222", "u", "", nil), ("nats://u:p@s/s@h", "h:4222", "u", "p@s/s", nil),
            ("NATS://u:p%40s:s@h", "h:4222", "u", "p%40s:s", nil),
        ] as [(String, String, String?, String?, String?)])
    func urls(_ url: String, _ address: String, _ user: String?, _ password: String?, _ token: String?) throws {
        let server = try #require(CoreServer(url: url))
        #expect(server.address == address)
        #expect(server.user == user && server.password == password && server.token == token)
        #expect(!server.wantsTLS)
    }

    @Test(
        "what is no URL of a server is refused",
        arguments: ["", "nats://", "ws://h", "nats://h:x", "nats://h:0", "nats://h h"])
    func badURLs(_ url: String) { #expect(CoreServer(url: url) == nil) }

    @Test("whatever comes in whatever order, nothing traps and it can still be closed", arguments: 0..<200)
    func walks(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var stage = Stage(["nats://one", "nats://two"], seed: seed)
        var ids: [CoreSubscriptions.ID] = []
        _ = stage.machine.start(now: stage.now)
        for _ in 0..<400 {
            switch Int.random(in: 0..<13, using: &random) {
            case 0: _ = stage.machine.opened(now: stage.now)
            case 1: _ = stage.machine.informed(Array("{}".utf8), now: stage.now)
            case 2: stage.machine.introduce(CoreIntroduction(), now: stage.now)
            case 3, 4, 5: _ = stage.machine.ponged(now: stage.now)
            case 6: stage.machine.pinged()
            case 7: ids.append(try stage.subscribe("s\(ids.count)"))
            case 8: if let id = ids.randomElement(using: &random) { stage.machine.unsubscribe(id) }
            case 9: _ = stage.machine.failed(NATSError(.notConnected, ""), now: stage.now)
            case 10: try? stage.machine.flush(UInt64(ids.count))
            case 11: _ = stage.wait()
            default: _ = stage.written()
            }
            #expect(stage.machine.deadline != nil, "seed \(seed): nothing would ever happen again")
        }
        _ = stage.machine.close()
        #expect(stage.machine.isClosed)
    }
}
