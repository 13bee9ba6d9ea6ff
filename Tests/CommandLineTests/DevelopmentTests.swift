import CommandLineCore
import JSON
import ServiceKit
import Testing

@Suite("What apus dev writes")
struct DevelopmentFilesTests {
    @Test("the configuration is YAML that reads back as it was meant, whatever the paths hold")
    func configuration() throws {
        let configuration = DevelopmentConfiguration(
            natsURL: "nats://127.0.0.1:4222", gatewayAddress: "127.0.0.1:8080", tokenSecret: "s#: \"x\"", apiKey: "k",
            databasePath: "/home/ada's \"files\"/shop: 1.sqlite", samplePath: "/tmp/orders.csv", uploadPath: "/tmp/up")
        let file = try YAMLFile.parse(configuration.yaml)
        #expect(file["nats"]?["url"] == "nats://127.0.0.1:4222")
        #expect(file["gateway"]?["listen"] == "127.0.0.1:8080")
        #expect(file["gateway"]?["token"]?["secret"] == "s#: \"x\"")
        #expect(file["gateway"]?["api"]?["key"] == "k")
        #expect(
            file["gateway"]?["page"] == [
                "sample": "/tmp/orders.csv", "database": "/home/ada's \"files\"/shop: 1.sqlite",
                "tables": ["main.products", "main.posts"],
            ])
        #expect(file["gateway"]?["upload"]?["directory"] == "/tmp/up")
        #expect(file["livesync"]?["sources"]?.arrayValue?.first?["sqlite"] == "/home/ada's \"files\"/shop: 1.sqlite")
        #expect(file["livesync"]?["sources"]?.arrayValue?.first?["tables"] == ["products", "posts"])
        #expect(file["livesync"]?["access"]?.arrayValue?.map { $0["table"] } == ["main.products", "main.posts"])
        #expect(file["notifier"]?["rules"]?.arrayValue?.count == 2)
    }

    @Test("the sample has the promised columns in every row, and is the same every time")
    func sample() {
        var sample = SampleDataset(seed: 42)
        var again = SampleDataset(seed: 42)
        var bytes = 0
        for number in 1...2000 {
            let line = sample.line()
            #expect(line == again.line())
            #expect(line.hasPrefix("\(number),"))
            #expect(fields(line) == 9, "\(line)")
            bytes += line.utf8.count
        }
        #expect(bytes / 2000 * SampleDataset.rows > 3_000_000)
    }

    /// Counts the fields of one CSV record.
    private func fields(_ record: String) -> Int {
        var isQuoted = false
        return record.reduce(1) { count, character in
            if character == "\"" { isQuoted.toggle() }
            return character == "," && !isQuoted ? count + 1 : count
        }
    }

    @Test("a session reads back as written, and nothing else is taken for one")
    func session() {
        let session = DevelopmentSession(
            process: 7, natsURL: "nats://127.0.0.1:4222", page: "http://127.0.0.1:8080",
            adminAddresses: ["worker": "127.0.0.1:1"])
        #expect(DevelopmentSession(json: session.json) == session)
        for odd: JSONValue in [nil, [], ["process": -1, "nats_url": "a", "page": "b"], ["process": 1]] {
            #expect(DevelopmentSession(json: odd) == nil)
        }
    }

    @Test("the welcome names every login with its token")
    func welcome() {
        let welcome = Welcome(
            page: "http://127.0.0.1:8080",
            logins: [.init(title: "as user 42", token: "t.o.k"), .init(title: "x", token: nil)],
            program: "apus", samplePath: "/s", databasePath: "/d", configurationPath: "/c")
        let text = welcome.lines(Styler(isEnabled: false)).joined(separator: "\n")
        #expect(text.contains("as user 42  http://127.0.0.1:8080/?token=t.o.k"))
        #expect(text.contains("apus event --config /c order.status_changed"))
    }
}

@Suite("What apus dev decides about ports")
struct PortPlanTests {
    @Test("a named server is used, a free usual port taken, a taken one left alone")
    func server() {
        #expect(
            ServerPlan.decide(namedURL: "nats://h:1", isFree: { _ in false }, freePort: { nil })
                == .use(url: "nats://h:1"))
        #expect(
            ServerPlan.decide(namedURL: nil, isFree: { $0 == 4222 }, freePort: { 5000 })
                == .start(port: 4222, note: nil))
        let other = ServerPlan.decide(namedURL: nil, isFree: { _ in false }, freePort: { 5000 })
        guard case .start(5000, let note?)? = other else {
            Issue.record("not started on the free port: \(String(describing: other))")
            return
        }
        #expect(note.contains("4222") && note.contains("5000"))
        #expect(other?.url == "nats://127.0.0.1:5000")
        #expect(ServerPlan.decide(namedURL: nil, isFree: { _ in false }, freePort: { nil }) == nil)
        #expect(
            ServerPlan.decide(namedURL: nil, wanted: 4300, isFree: { $0 == 4300 }, freePort: { nil })
                == .start(port: 4300, note: nil))
        #expect(ServerPlan.decide(namedURL: nil, wanted: 4300, isFree: { _ in false }, freePort: { 5000 }) == nil)
        #expect(
            ServerPlan.decide(namedURL: nil, wanted: 0, isFree: { _ in true }, freePort: { 5000 })
                == .start(port: 5000, note: nil))
    }

    @Test("the gateway's port must be free, and another is proposed when it is not")
    func gateway() {
        #expect(GatewayPlan.decide(wanted: 8080, isFree: { _ in true }, freePort: { nil }) == .listen(port: 8080))
        #expect(GatewayPlan.decide(wanted: 0, isFree: { _ in true }, freePort: { 6000 }) == .listen(port: 6000))
        guard case .problem(let problem) = GatewayPlan.decide(wanted: 8080, isFree: { _ in false }, freePort: { 6000 })
        else {
            Issue.record("a taken port is no problem")
            return
        }
        #expect(problem.contains("8080") && problem.contains("--port 6000"))
    }
}

@Suite("The life of a program that apus dev runs")
struct ChildMachineTests {
    @Test("one that ends is started again, each time later, until it runs for a while")
    func backoff() {
        var machine = ChildMachine()
        var now = Duration.zero
        var delays: [Duration] = []
        for _ in 0..<7 {
            machine.started(now: now)
            guard case .restart(let delay) = machine.exited(.status(1), now: now) else { break }
            delays.append(delay)
            now += delay
            #expect(machine.delayPassed() == .start)
        }
        #expect(delays == [0.5, 1, 2, 4, 8, 15, 15].map { .seconds($0) })
        machine.started(now: now)
        now += .seconds(31)
        #expect(machine.exited(.signal(9), now: now) == .restart(after: .milliseconds(500)))
        #expect(machine.restarts == 7)
    }

    @Test("one that refuses its configuration is not tried again at once")
    func permanent() {
        var machine = ChildMachine()
        machine.started(now: .zero)
        #expect(machine.exited(.status(78), now: .zero) == .restart(after: ChildMachine.delays.longest))
    }

    @Test("after a request to stop nothing starts again")
    func stop() {
        var running = ChildMachine()
        running.started(now: .zero)
        #expect(running.stopRequested() == .terminate)
        #expect(running.stopRequested() == .doNothing)
        #expect(running.exited(.status(0), now: .zero) == .doNothing)
        #expect(running.state == .stopped)

        var waiting = ChildMachine()
        waiting.started(now: .zero)
        _ = waiting.exited(.status(1), now: .zero)
        #expect(waiting.stopRequested() == .doNothing)
        #expect(waiting.delayPassed() == .doNothing)
        #expect(!waiting.isRunning)
    }

    @Test("how a program ended is read from what the system says")
    func exits() {
        #expect(ChildExit(waitStatus: 0) == .status(0))
        #expect(ChildExit(waitStatus: 78 << 8) == .status(78))
        #expect(ChildExit(waitStatus: 9) == .signal(9))
        #expect(ChildExit(waitStatus: 0x80 | 11) == .signal(11))
        #expect(ChildExit.signal(9).description == "signal 9 (SIGKILL)")
    }
}

@Suite("The common log")
struct CommonLogTests {
    @Test("lines come out whole, wherever the bytes are divided", arguments: 1...20)
    func chunks(size: Int) {
        let text = "first\nsecond ünicode\r\n\nlast"
        var splitter = LineSplitter()
        var lines: [String] = []
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            lines += splitter.append(bytes.prefix(size))
            bytes = bytes.dropFirst(size)
        }
        if let last = splitter.finish() { lines.append(last) }
        #expect(lines == ["first", "second ünicode", "", "last"])
    }

    @Test("a line without end is cut, not collected for ever")
    func endless() {
        var splitter = LineSplitter()
        let lines = splitter.append([UInt8](repeating: 120, count: 100_000))
        #expect(lines.count == 6)
        #expect(lines.allSatisfy { $0.utf8.count == LineSplitter.maximumLineBytes })
    }

    @Test("each line bears its program's name, in columns, and cannot start another")
    func prefix() {
        let prefix = LogPrefix(programs: ["nats", "gateway"], styler: Styler(isEnabled: false))
        #expect(prefix.line("started", of: "nats") == "nats    | started")
        #expect(prefix.line("a\u{1B}[1m\nb", of: "gateway") == "gateway | a\\u{1B}[1m\\nb")
        let colored = LogPrefix(programs: ["nats", "gateway"], styler: Styler(isEnabled: true))
        #expect(colored.line("x", of: "nats") != colored.line("x", of: "gateway"))
    }

    @Test("the start-up line gives the addresses, in either format, and no other line does")
    func startup() throws {
        let text = try #require(
            StartupLine("2026-01-01T00:00:00Z notice apus-gateway: started admin=127.0.0.1:41 listen=127.0.0.1:8080"))
        #expect(text.admin == "127.0.0.1:41")
        #expect(text.listen == "127.0.0.1:8080")
        let json = try #require(StartupLine(#"{"message":"started","admin":"127.0.0.1:41"}"#))
        #expect(json.admin == "127.0.0.1:41")
        #expect(json.listen == nil)
        for line in ["", "started", "2026 info x: task started id=1", #"{"message":"started"}"#, "{", "admin=1:2"] {
            #expect(StartupLine(line) == nil)
        }
    }

    @Test("nats-server's announcements are left out, its warnings shown")
    func serverLog() {
        #expect(!ServerLogFilter.shows("[12] 2026/01/01 00:00:00.000000 [INF] Server is ready"))
        #expect(ServerLogFilter.shows("[12] 2026/01/01 00:00:00.000000 [FTL] Error listening on port"))
    }

    @Test("a finding shows its grade and what to do")
    func finding() {
        let finding = Finding(.problem, "NATS", "not there", remedy: "start it")
        #expect(
            finding.lines(Styler(isEnabled: false), subjectColumns: 6) == [
                "problem  NATS    not there", "                 → start it",
            ])
        #expect(finding.json["grade"] == "problem")
    }
}
