import Foundation
import FoundationNetworking
import Synchronization
import TestKit

/// The whole of Apus as its operators run it: a NATS server and the built programs as processes, with a folder of their
/// own. Everything is on free ports of 127.0.0.1 and goes when the test is done.
final class ApusSystem: Sendable {
    let folder: URL
    let configuration: SystemConfiguration
    let nats: NATSServerProcess
    private let state = Mutex(State())

    private struct State {
        var services: [ApusInstance: RunningService] = [:]
        /// Where each gateway was first, so that its clients find it again.
        var gatewayAddresses: [ApusInstance: String] = [:]
        /// All processes, also those that ended, for their logs.
        var history: [ProgramProcess] = []
    }

    private struct RunningService {
        var process: ProgramProcess
        var adminAddress: String
    }

    private init(folder: URL, configuration: SystemConfiguration, nats: NATSServerProcess) {
        self.folder = folder
        self.configuration = configuration
        self.nats = nats
    }

    /// Starts a system, runs `body`, and takes everything down. If `body` throws, the logs are printed.
    /// - Parameter gateways: how many, if there is one at all; the second is `gateway2`.
    static func run(
        _ programs: [ApusProgram] = ApusProgram.services, gateways: Int = 1,
        configuration: SystemConfiguration = SystemConfiguration(), _ body: (ApusSystem) async throws -> Void
    ) async throws {
        var services = programs.map { ApusInstance($0) }
        if programs.contains(.gateway), gateways > 1 {
            services += (2...gateways).map { ApusInstance(.gateway, number: $0) }
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let nats = try await NATSServerProcess.start()
        let system = ApusSystem(folder: folder, configuration: configuration, nats: nats)
        do {
            try configuration.yaml.write(to: system.configurationFile, atomically: true, encoding: .utf8)
            try await system.makeDatabase()
            for service in services { try await system.start(service) }
            for service in services { try await system.waitUntilReady(service) }
            try await body(system)
            await system.takeDown()
        } catch {
            system.printLogs()
            await system.takeDown()
            throw error
        }
    }

    var configurationFile: URL { folder.appending(path: "apus.yaml") }
    var database: URL { folder.appending(path: configuration.database) }
    var gatewayAddress: String { gatewayAddress(ApusInstance(.gateway)) }
    func gatewayAddress(_ gateway: ApusInstance) -> String { state.withLock { $0.gatewayAddresses[gateway] ?? "" } }
    func adminAddress(_ service: ApusInstance) -> String {
        state.withLock { $0.services[service]?.adminAddress ?? "" }
    }
    /// All that run now.
    var instances: [ApusInstance] { state.withLock { Array($0.services.keys) } }

    // MARK: Processes

    /// Starts a service and returns when it has said where it listens. A gateway comes back where it was.
    func start(_ service: ApusInstance) async throws {
        var arguments = [
            "--config", configurationFile.path, "--nats-url", nats.url, "--admin-listen", "127.0.0.1:0",
        ]
        if service.program == .gateway {
            arguments += ["--gateway-listen", state.withLock { $0.gatewayAddresses[service] } ?? "127.0.0.1:0"]
        }
        let process = try ProgramProcess(service.program.url, arguments, folder: folder, name: service.name)
        state.withLock { $0.history.append(process) }
        let (admin, _) = try await process.waitForLine { Self.value(of: "admin", in: $0) }
        var gateway: String?
        if service.program == .gateway {
            gateway = try await process.waitForLine { Self.value(of: "listen", in: $0) }.found
        }
        state.withLock { state in
            state.services[service] = RunningService(process: process, adminAddress: admin)
            if let gateway { state.gatewayAddresses[service] = gateway }
        }
    }

    /// Ends a process by `signal` and returns how it ended.
    @discardableResult
    func end(_ service: ApusInstance, _ signal: Int32) async throws -> ProgramExit {
        guard let process = state.withLock({ $0.services.removeValue(forKey: service) })?.process else {
            throw ScenarioFailure("\(service.name) does not run")
        }
        process.signal(signal)
        return try await process.waitForExit()
    }

    /// Stops a process for a while (SIGSTOP), or lets it go on (SIGCONT).
    func signal(_ service: ApusInstance, _ number: Int32) throws {
        guard let process = state.withLock({ $0.services[service] })?.process else {
            throw ScenarioFailure("\(service.name) does not run")
        }
        process.signal(number)
    }

    /// Waits until `GET /ready` of a service answers 200.
    func waitUntilReady(_ service: ApusInstance) async throws {
        let url = "http://\(adminAddress(service))/ready"
        var last = ""
        for _ in 0..<600 {
            guard state.withLock({ $0.services[service]?.process.isRunning }) == true else {
                throw ScenarioFailure("\(service.name) ended before it was ready")
            }
            if let (status, body) = try? await Self.get(url) {
                if status == 200 { return }
                last = body
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ScenarioFailure("\(service.name) is not ready after 30 s: \(last)")
    }

    static func get(_ url: String) async throws -> (status: Int, body: String) {
        guard let url = URL(string: url) else { throw ScenarioFailure("\(url) is no address") }
        let (data, response) = try await URLSession.shared.data(from: url)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    private func takeDown() async {
        let services = state.withLock { state in
            defer { state.services = [:] }
            return state.services.values.map(\.process)
        }
        for process in services {
            process.signal(SIGKILL)
            _ = try? await process.waitForExit()
        }
        await nats.stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// The last lines of every process, for a test that failed.
    private func printLogs() {
        for process in state.withLock({ $0.history }) {
            let lines = process.output.split(separator: "\n")
            print("---- \(process.name) (\(process.identifier)), its last lines of \(lines.count)")
            print(lines.suffix(60).joined(separator: "\n"))
        }
        print("---- nats-server\n\(nats.log.suffix(2000))")
    }

    // MARK: Pieces

    private func makeDatabase() async throws {
        let shell = try ProgramProcess(
            Self.program("sqlite3"),
            [
                database.path,
                """
                PRAGMA journal_mode = WAL;
                CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT, score REAL, published INTEGER);
                INSERT INTO posts VALUES (1, 'first', NULL, 1.5, 1);
                """,
            ])
        let exit = try await shell.waitForExit()
        guard exit == .status(0) else { throw ScenarioFailure("sqlite3: \(exit) \(shell.output)") }
    }

    /// A program from PATH or from where Debian puts servers.
    static func program(_ name: String) throws -> URL {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/local/sbin:/usr/sbin:/sbin"
        for folder in path.split(separator: ":") {
            let candidate = "\(folder)/\(name)"
            if FileManager.default.isExecutableFile(atPath: candidate) { return URL(filePath: candidate) }
        }
        throw ScenarioFailure("\(name) is missing: run `make deps`")
    }

    /// `HOST:PORT` after `key=` in a log line.
    static func value(of key: String, in line: String) -> String? {
        for word in line.split(whereSeparator: { $0 == " " || $0 == "," || $0 == "\"" }) where word.hasPrefix("\(key)=")
        {
            return String(word.dropFirst(key.count + 1))
        }
        return nil
    }
}

/// Something did not happen as it should.
struct ScenarioFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
