import Foundation

/// A NATS server and a gateway of the benchmark's own, on free ports.
final class MeasuredSystem {
    let natsURL: String
    let gatewayPort: UInt16
    private let nats: Process
    private let gateway: Process
    private let folder: URL

    struct Failure: Error, CustomStringConvertible { let description: String }

    init(gateway path: String) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (nats, server) = try Self.start(
            "/usr/bin/env", ["nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder.path],
            until: #/Listening for client connections on (\S+)/#)
        self.nats = nats
        natsURL = "nats://" + server
        let configuration = folder.appending(path: "apus.yaml")
        try """
        gateway:
          anonymous: true
          limits: { connections_per_user: 0 }
          namespaces:
            - { name: bench, subscribe: anyone, publish: nobody }
        """.write(to: configuration, atomically: true, encoding: .utf8)
        let address: String
        do {
            (gateway, address) = try Self.start(
                path,
                [
                    "--config", configuration.path, "--nats-url", natsURL, "--gateway-listen", "127.0.0.1:0",
                    "--log-level", "info",
                ], until: #/\blisten=(\S+)/#)
        } catch {
            nats.terminate()
            throw error
        }
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw Failure(description: "the gateway listens on \(address), which has no port")
        }
        gatewayPort = port
    }

    /// Starts a program and reads what it says until the pattern is found; what follows is thrown away.
    private static func start(
        _ path: String, _ arguments: [String], until pattern: Regex<(Substring, Substring)>
    ) throws -> (Process, String) {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        var text = ""
        while case let chunk = output.fileHandleForReading.availableData, !chunk.isEmpty {
            text += String(decoding: chunk, as: UTF8.self)
            guard let match = text.firstMatch(of: pattern), text[match.range.upperBound...].contains("\n") else {
                continue
            }
            let found = String(match.1)
            output.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
            return (process, found)
        }
        throw Failure(description: "\(path) ended:\n\(text)")
    }

    /// Seconds of processor time that the gateway has used.
    func processorTime() -> Double {
        // After the program's name, which is in parentheses and may hold spaces: state is the first, times 12 and 13.
        let text = (try? String(contentsOfFile: "/proc/\(gateway.processIdentifier)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(gateway.processIdentifier)/statm", encoding: .utf8)) ?? ""
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    func stop() {
        for process in [gateway, nats] where process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }
}
