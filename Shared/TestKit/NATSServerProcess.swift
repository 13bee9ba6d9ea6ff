public import Foundation
internal import Glibc
internal import Synchronization

/// A real `nats-server` with JetStream of a test's own: on a free port of the loopback interface, with its own store in a
/// new folder. It can be killed, stopped, frozen and started again on the same port and store.
///
/// Stopped by ``stop()``, which also removes the folder, or when the last reference goes; only ever by its own process
/// id. It does not outlive the test's process either. Safe to use from any task.
public final class NATSServerProcess: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Where to connect.
    public let url: String
    public let port: Int
    /// Its configuration, store and log.
    public let folder: URL
    /// The number of its process; nil while it is ended.
    public var identifier: Int32? { process.withLock { $0?.processIdentifier } }
    private let executable: URL
    private let process: Mutex<Process?>

    /// Whether there is a `nats-server` on this machine. A test that needs one skips without it, but not in CI: see
    /// ``isRequired``.
    public static var isAvailable: Bool { findExecutable() != nil }

    /// Whether a missing `nats-server` is an error (environment `CI`).
    public static var isRequired: Bool {
        let value = ProcessInfo.processInfo.environment["CI"] ?? ""
        return !value.isEmpty && value != "false" && value != "0"
    }

    /// For `@Suite(.enabled(if: NATSServerProcess.canRun))`: false only where the tests may be skipped.
    public static var canRun: Bool { isAvailable || isRequired }

    /// Starts a server and waits until it listens and JetStream is ready.
    /// - Parameter configuration: further lines of its configuration file.
    public static func start(configuration: String = "") async throws -> NATSServerProcess {
        guard let executable = findExecutable() else {
            throw Failure(
                description: "nats-server is not on this machine (apt-get install nats-server), and tests need it")
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-nats-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(configuration.utf8).write(to: folder.appendingPathComponent("nats.conf"))
        do {
            let process = try launch(executable, folder: folder, port: -1)
            let port = try await listeningPort(of: process, folder: folder)
            return NATSServerProcess(executable: executable, folder: folder, port: port, process: process)
        } catch {
            try? FileManager.default.removeItem(at: folder)
            throw error
        }
    }

    private init(executable: URL, folder: URL, port: Int, process: Process) {
        self.executable = executable
        self.folder = folder
        self.port = port
        url = "nats://127.0.0.1:\(port)"
        self.process = Mutex(process)
    }

    deinit { removeAll() }

    // MARK: Faults

    /// Ends it without warning, as a crash would (SIGKILL), and returns when it is gone.
    public func kill() async { await end(SIGKILL) }

    /// Lets it end in order (SIGTERM), and returns when it is gone. It can be started again.
    public func shutDown() async { await end(SIGTERM) }

    /// Freezes it (SIGSTOP): connections stay open and nothing is answered. Returns when all of its threads stand.
    public func suspend() async {
        signal(SIGSTOP)
        while isRunningNow { await Task.yield() }
    }

    /// Whether the kernel says that it is neither stopped nor gone.
    private var isRunningNow: Bool {
        guard let identifier = process.withLock({ $0?.processIdentifier }),
            let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/task")
        else { return false }
        return threads.contains { thread in
            let status = try? String(contentsOfFile: "/proc/\(identifier)/task/\(thread)/stat", encoding: .utf8)
            // The state follows the name, which stands in parentheses.
            return status?.split(separator: ")").last?.trimmingPrefix(" ").first != "T"
        }
    }

    /// Lets a frozen server go on.
    public func resume() { signal(SIGCONT) }

    /// Gives the running server other lines of configuration (SIGHUP).
    public func reload(configuration: String) throws {
        try Data(configuration.utf8).write(to: folder.appendingPathComponent("nats.conf"), options: .atomic)
        signal(SIGHUP)
    }

    /// Starts a server that was ended, on the same port and store.
    public func restart() async throws {
        if process.withLock({ $0?.isRunning ?? false }) { await kill() }
        let started = try NATSServerProcess.launch(executable, folder: folder, port: port)
        process.withLock { $0 = started }
        _ = try await NATSServerProcess.listeningPort(of: started, folder: folder)
    }

    /// Ends it and removes its folder.
    public func stop() async {
        await kill()
        removeAll()
    }

    /// What it wrote to its log, for messages of failed tests.
    public var log: String {
        (try? String(contentsOf: folder.appendingPathComponent("nats.log"), encoding: .utf8)) ?? ""
    }

    private func signal(_ number: Int32) {
        process.withLock { process in
            if let process, process.isRunning { _ = Glibc.kill(process.processIdentifier, number) }
        }
    }

    private func end(_ number: Int32) async {
        guard let process = process.withLock({ $0.take() }) else { return }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let once = Mutex(Optional(continuation))
            process.terminationHandler = { _ in once.withLock { $0.take() }?.resume() }
            if process.isRunning {
                _ = Glibc.kill(process.processIdentifier, number)
                // A frozen process notices SIGTERM only when it goes on.
                if number != SIGKILL { _ = Glibc.kill(process.processIdentifier, SIGCONT) }
            } else {
                once.withLock { $0.take() }?.resume()
            }
        }
    }

    private func removeAll() {
        process.withLock { process in
            if let process, process.isRunning { _ = Glibc.kill(process.processIdentifier, SIGKILL) }
            process = nil
        }
        try? FileManager.default.removeItem(at: folder)
    }

    // MARK: Starting

    private static func findExecutable() -> URL? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        // Debian puts it where only root's PATH leads.
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"]
        return folders.map { URL(fileURLWithPath: $0).appendingPathComponent("nats-server") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    /// Port -1 lets the server choose a free one.
    private static func launch(_ executable: URL, folder: URL, port: Int) throws -> Process {
        let process = Process()
        process.executableURL = executable
        process.arguments = [
            "-a", "127.0.0.1", "-p", "\(port)", "--ports_file_dir", folder.path, "-js", "-sd", folder.path,
            "-l", folder.appendingPathComponent("nats.log").path, "-c", folder.appendingPathComponent("nats.conf").path,
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.runWithParent()
        return process
    }

    /// The server writes its addresses to a file named after its process id once it listens. There is nothing to wait
    /// on but the file, so this looks often, as long as the process lives.
    private static func listeningPort(of process: Process, folder: URL) async throws -> Int {
        struct Addresses: Decodable { let nats: [String] }
        let file = folder.appendingPathComponent("nats-server_\(process.processIdentifier).ports")
        let deadline = ContinuousClock.now + .seconds(20)
        while process.isRunning, .now < deadline {
            if let data = try? Data(contentsOf: file),
                let addresses = try? JSONDecoder().decode(Addresses.self, from: data),
                let port = addresses.nats.first.flatMap({ URL(string: $0)?.port })
            {
                return port
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        let log = (try? String(contentsOf: folder.appendingPathComponent("nats.log"), encoding: .utf8)) ?? ""
        let isRunning = process.isRunning
        if isRunning { _ = Glibc.kill(process.processIdentifier, SIGKILL) }
        throw Failure(
            description: "nats-server \(isRunning ? "did not listen within 20 s" : "ended at once"): \(log.suffix(500))"
        )
    }
}
