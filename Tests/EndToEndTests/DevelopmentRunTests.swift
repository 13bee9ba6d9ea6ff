import Foundation
import FoundationNetworking
import TestKit
import Testing

extension EndToEndTests {
    /// The one command that runs everything on this machine, as somebody at a terminal uses it.
    @Suite("apus dev", .serialized)
    struct Development {
        @Test(
            "it runs the whole system, other commands find it, and ctrl-C stops all that it started and nothing else",
            .timeLimit(.minutes(2)))
        func wholeLife() async throws {
            let other = try await NATSServerProcess.start()
            let folder = try TemporaryFolder()
            let run = try await DevelopmentRun.start(in: folder)
            #expect(Set(run.children.keys) == ["nats", "worker", "notifier", "livesync", "gateway"])
            for (label, process) in run.children {
                #expect(run.commandLine(of: process).contains(label == "nats" ? "nats-server" : "apus-\(label)"))
            }

            let page = try await ApusSystem.get(run.page + "/")
            #expect(page.status == 200)
            #expect(page.body.contains("<html"))

            // Called from the same folder, they need to be told nothing.
            let event = try await run.command(
                ["event", "order.status_changed", #"{"order_id": 7, "user_id": "42", "status": "shipped"}"#])
            #expect(event.exit == .status(0), "\(event.output)")
            let told = try await run.command(["subscribe", "user:42", "--from-start", "--count", "1", "--json"])
            #expect(told.output.contains("Your order status is now: shipped"), "\(told.output)")
            let task = try await run.command(
                ["task", "run", "dataset.summarize", "--file", "path=.apus/orders.csv", "--json"])
            #expect(task.exit == .status(0), "\(task.output)")
            #expect(task.output.contains(#""rows":60000"#))

            // A second one does not disturb the first.
            let second = try await run.command(["dev", "--port", "0", "--nats-port", "0"])
            #expect(second.exit == .status(1))
            #expect(second.output.contains("runs in \(folder.path)/.apus already (process \(run.process.identifier)"))

            // A service that dies is started again.
            let worker = try #require(run.children["worker"])
            kill(worker, SIGKILL)
            _ = try await run.process.waitForLine { $0.contains("worker is ready again") ? true : nil }

            let children = run.allChildren
            run.process.signal(SIGINT)
            #expect(try await run.process.waitForExit() == .status(0))
            #expect(children.count == 6)
            for child in children { #expect(run.commandLine(of: child).isEmpty, "process \(child) still runs") }
            #expect(!FileManager.default.fileExists(atPath: folder.path + "/.apus/session.json"))
            await #expect(throws: (any Error).self) { try await ApusSystem.get(run.page + "/") }

            let alive = try await run.command(["publish", "default:x", "1", "--nats-url", other.url])
            #expect(alive.exit == .status(0), "\(alive.output)")
            await other.stop()
        }

        @Test(
            "killed with -9 it leaves no process behind, and goes on where it was when it is started again",
            .timeLimit(.minutes(2)))
        func killed() async throws {
            let folder = try TemporaryFolder()
            let first = try await DevelopmentRun.start(in: folder)
            let event = try await first.command(
                ["event", "order.status_changed", #"{"order_id": 7, "user_id": "42", "status": "shipped"}"#])
            #expect(event.exit == .status(0), "\(event.output)")
            _ = try await first.command(["subscribe", "user:42", "--from-start", "--count", "1"])
            let configuration = try String(contentsOfFile: folder.path + "/.apus/apus.yaml", encoding: .utf8)
            first.process.signal(SIGKILL)
            #expect(try await first.process.waitForExit() == .signal(SIGKILL))
            for child in first.allChildren { try await first.waitUntilGone(child) }

            let second = try await DevelopmentRun.start(in: folder)
            #expect(try String(contentsOfFile: folder.path + "/.apus/apus.yaml", encoding: .utf8) == configuration)
            let told = try await second.command(["subscribe", "user:42", "--from-start", "--count", "1", "--json"])
            #expect(told.output.contains("Your order status is now: shipped"), "\(told.output)")

            // A service that does not stop holds up the end, until a second ctrl-C.
            let worker = try #require(second.children["worker"])
            kill(worker, SIGSTOP)
            second.process.signal(SIGINT)
            _ = try await second.process.waitForLine { $0.contains("ctrl-C again stops at once") ? true : nil }
            second.process.signal(SIGINT)
            #expect(try await second.process.waitForExit() == .status(130))
            for child in second.allChildren { try await second.waitUntilGone(child) }
        }

        @Test("a server that somebody named is used and left running", .timeLimit(.minutes(2)))
        func namedServer() async throws {
            let nats = try await NATSServerProcess.start()
            let folder = try TemporaryFolder()
            let run = try await DevelopmentRun.start(in: folder, ["--nats-url", nats.url])
            #expect(Set(run.children.keys) == ["worker", "notifier", "livesync", "gateway"])
            run.process.signal(SIGTERM)
            #expect(try await run.process.waitForExit() == .status(0))
            let alive = try await run.command(["publish", "room:x", "1", "--nats-url", nats.url])
            #expect(alive.exit == .status(0), "\(alive.output)")
            await nats.stop()
        }

        @Test(
            "a port in use, a server that is not there and a wrong configuration are said at once, and nothing starts",
            .timeLimit(.minutes(1)))
        func inTheWay() async throws {
            let taken = try await NATSServerProcess.start()
            let folder = try TemporaryFolder()
            func failure(_ arguments: [String]) async throws -> (exit: ProgramExit, output: String) {
                let process = try ProgramProcess(ApusProgram.commandLine.url, ["dev"] + arguments, folder: folder.url)
                let exit = try await process.waitForExit()
                #expect(!process.output.contains("started nats"), "\(process.output)")
                return (exit, process.output)
            }
            let page = try await failure(["--port", "\(taken.port)", "--nats-port", "0"])
            #expect(page.exit == .status(1))
            #expect(page.output.contains("port \(taken.port) is in use") && page.output.contains("--port "))
            let nats = try await failure(["--port", "0", "--nats-port", "\(taken.port)"])
            #expect(nats.exit == .status(1))
            #expect(nats.output.contains("port \(taken.port) is in use") && nats.output.contains("--nats-port"))
            let missing = try await failure(["--port", "0", "--nats-url", "nats://127.0.0.1:9"])
            #expect(missing.exit == .status(1))
            #expect(missing.output.contains("cannot reach NATS at nats://127.0.0.1:9"), "\(missing.output)")
            let file = try folder.write("wrong.yaml", "nats: { ulr: \"x\" }\n")
            let wrong = try await failure(["--port", "0", "--nats-port", "0", "--config", file.path])
            #expect(wrong.exit == .status(78))
            #expect(wrong.output.contains("nats.ulr"))
            await taken.stop()
        }
    }
}

/// A running `apus dev`, as its output tells of it.
private final class DevelopmentRun: Sendable {
    let process: ProgramProcess
    let folder: TemporaryFolder
    /// `http://HOST:PORT`.
    let page: String

    /// Starts it on free ports and returns when it has printed the page's address.
    static func start(
        in folder: TemporaryFolder, _ arguments: [String] = ["--nats-port", "0"]
    ) async throws -> DevelopmentRun {
        let process = try ProgramProcess(
            ApusProgram.commandLine.url, ["dev", "--port", "0"] + arguments, folder: folder.url)
        let (page, _) = try await process.waitForLine { line in
            line.firstMatch(of: #/as user 42 +(http://\S+)/\?token=/#).map { String($0.1) }
        }
        return DevelopmentRun(process: process, folder: folder, page: page)
    }

    private init(process: ProgramProcess, folder: TemporaryFolder, page: String) {
        self.process = process
        self.folder = folder
        self.page = page
    }

    /// The programs that it said it started, the last of each.
    var children: [String: pid_t] { Dictionary(started.map { ($0.label, $0.process) }, uniquingKeysWith: { $1 }) }

    /// All of them, also those that were started again.
    var allChildren: [pid_t] { started.map(\.process) }

    private var started: [(label: String, process: pid_t)] {
        process.output.matches(of: #/started (\S+) \(process (\d+)\)/#).compactMap { match in
            pid_t(match.2).map { (String(match.1), $0) }
        }
    }

    /// What the process was called with; empty when there is none, or none any more but its parent's memory of it.
    func commandLine(of process: pid_t) -> String {
        (try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)) ?? ""
    }

    /// The system ends a process some time after its parent: there is nothing to wait on but its entry.
    func waitUntilGone(_ process: pid_t) async throws {
        while !commandLine(of: process).isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    }

    /// Runs another `apus` in the same folder to its end.
    func command(_ arguments: [String]) async throws -> (exit: ProgramExit, output: String) {
        let command = try ProgramProcess(ApusProgram.commandLine.url, arguments, folder: folder.url)
        return (try await command.waitForExit(), command.output)
    }
}
