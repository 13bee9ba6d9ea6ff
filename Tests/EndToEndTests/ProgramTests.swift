import Foundation
import TestKit
import Testing

extension EndToEndTests {
    /// What every program promises its operator.
    @Suite("Programs", .serialized)
    struct Programs {
        @Test(
            "each service ends with 0 when it is asked to", .timeLimit(.minutes(2)), arguments: ["SIGTERM", "SIGINT"])
        func drain(signal: String) async throws {
            try await ApusSystem.run { system in
                for service in ApusProgram.services {
                    let exit = try await system.end(ApusInstance(service), signal == "SIGTERM" ? SIGTERM : SIGINT)
                    #expect(exit == .status(0), "\(service.rawValue)")
                }
            }
        }

        @Test(
            "a service without a NATS server waits for it, says so, and ends cleanly", .timeLimit(.minutes(1)),
            arguments: ApusProgram.services)
        func withoutServer(service: ApusProgram) async throws {
            let folder = try TemporaryFolder()
            let file = try folder.write("apus.yaml", SystemConfiguration().yaml)
            let process = try ProgramProcess(
                service.url,
                [
                    "--config", file.path, "--nats-url", "nats://127.0.0.1:9", "--admin-listen", "127.0.0.1:0",
                ] + (service == .gateway ? ["--gateway-listen", "127.0.0.1:0"] : []), folder: folder.url)
            let (admin, _) = try await process.waitForLine { ApusSystem.value(of: "admin", in: $0) }
            let health = try await ApusSystem.get("http://\(admin)/health")
            #expect(health.status == 200)
            let ready = try await ApusSystem.get("http://\(admin)/ready")
            #expect(ready.status == 503, "\(ready.body)")
            process.signal(SIGTERM)
            #expect(try await process.waitForExit() == .status(0))
        }

        @Test(
            "a server that refuses the password is told in the log with what to check, and tried until it takes it",
            .timeLimit(.minutes(1)), arguments: ApusProgram.services)
        func wrongPassword(service: ApusProgram) async throws {
            let nats = try await NATSServerProcess.start(
                configuration: "authorization { user: ann, password: other }")
            let folder = try TemporaryFolder()
            let file = try folder.write("apus.yaml", SystemConfiguration().yaml)
            let process = try ProgramProcess(
                service.url,
                [
                    "--config", file.path, "--nats-url", "nats://ann:pa55word@127.0.0.1:\(nats.port)",
                    "--admin-listen", "127.0.0.1:0",
                ] + (service == .gateway ? ["--gateway-listen", "127.0.0.1:0"] : []), folder: folder.url)
            _ = try await process.waitForLine { $0.contains("check user and password in nats.url") ? true : nil }
            let (admin, _) = try await process.waitForLine { ApusSystem.value(of: "admin", in: $0) }
            #expect(try await ApusSystem.get("http://\(admin)/ready").status == 503)
            try nats.reload(configuration: "authorization { user: ann, password: pa55word }")
            _ = try await process.waitForLine { $0.contains("connected to NATS") ? true : nil }
            process.signal(SIGTERM)
            #expect(try await process.waitForExit() == .status(0))
            #expect(!process.output.contains("pa55word"))
            await nats.stop()
        }

        @Test(
            "files for NATS that cannot be read are a wrong configuration, each told by its key",
            .timeLimit(.minutes(1)), arguments: ApusProgram.services)
        func missingFiles(service: ApusProgram) async throws {
            let folder = try TemporaryFolder()
            let file = try folder.write("apus.yaml", SystemConfiguration().yaml)
            let process = try ProgramProcess(
                service.url,
                [
                    "--config", file.path, "--nats-credentials", "nowhere.creds", "--nats-tls-ca", folder.path,
                    "--nats-tls-certificate", file.path,
                ], folder: folder.url)
            #expect(try await process.waitForExit() == .status(78))
            for line in ["nats.credentials: the file nowhere.creds", "nats.tls.ca: the file", "nats.tls.key: cert"] {
                #expect(process.output.contains(line), "\(process.output)")
            }
            let noCertificate = try ProgramProcess(
                service.url, ["--config", file.path, "--nats-tls-ca", file.path], folder: folder.url)
            #expect(try await noCertificate.waitForExit() == .status(78))
            #expect(noCertificate.output.contains("cannot be used for TLS"), "\(noCertificate.output)")
        }

        @Test("a certificate that cannot be used is a wrong configuration, told by its key", .timeLimit(.minutes(1)))
        func wrongCertificate() async throws {
            let folder = try TemporaryFolder()
            let file = try folder.write("apus.yaml", SystemConfiguration().yaml)
            let cases = [
                (["--gateway-tls-certificate", "nowhere.pem"], "gateway.tls.key: missing"),
                (["--gateway-tls-key", "nowhere.key"], "gateway.tls.certificate: missing"),
                (
                    ["--gateway-tls-certificate", "nowhere.pem", "--gateway-tls-key", "nowhere.key"],
                    "gateway.tls.certificate: cannot read nowhere.pem"
                ),
                (
                    ["--gateway-tls-certificate", file.path, "--gateway-tls-key", file.path],
                    "gateway.tls.certificate: \(file.path) holds no certificate"
                ),
            ]
            for (arguments, words) in cases {
                let process = try ProgramProcess(
                    ApusProgram.gateway.url, ["--config", file.path] + arguments, folder: folder.url)
                #expect(try await process.waitForExit() == .status(78))
                #expect(process.output.contains(words), "\(process.output)")
            }
        }

        @Test(
            "a wrong configuration is reported whole, key by key, and exits 78", .timeLimit(.minutes(1)),
            arguments: ApusProgram.services)
        func wrongConfiguration(service: ApusProgram) async throws {
            let folder = try TemporaryFolder()
            let file = try folder.write(
                "apus.yaml",
                """
                nats: { url: "not-an-address" }
                log: { level: shouting, format: binary }
                gateway: { listen: "127.0.0.1:99999", anonymous: perhaps }
                worker: { lease: soon }
                shutdown: { timeout: "-3s" }
                """)
            let process = try ProgramProcess(service.url, ["--config", file.path], folder: folder.url)
            #expect(try await process.waitForExit() == .status(78))
            let output = process.output
            var keys = ["nats.url", "log.level", "log.format", "shutdown.timeout"]
            if service == .gateway { keys += ["gateway.listen", "gateway.anonymous"] }
            if service == .worker { keys.append("worker.lease") }
            for key in keys { #expect(output.contains(key), "\(key) is not named in:\n\(output)") }
        }

        @Test(
            "an unknown key is a wrong configuration, an unknown option is wrong usage", .timeLimit(.minutes(1)),
            arguments: ApusProgram.services)
        func unknownNames(service: ApusProgram) async throws {
            let folder = try TemporaryFolder()
            let file = try folder.write("apus.yaml", "nats: { ulr: \"nats://127.0.0.1:4222\" }\n")
            let typo = try ProgramProcess(service.url, ["--config", file.path], folder: folder.url)
            #expect(try await typo.waitForExit() == .status(78))
            #expect(typo.output.contains("nats.ulr"), "\(typo.output)")
            for arguments in [["--nonsense", "1"], ["--nats-url"], ["nonsense"]] {
                let process = try ProgramProcess(service.url, arguments, folder: folder.url)
                #expect(try await process.waitForExit() == .status(64), "\(arguments): \(process.output)")
            }
        }

        @Test("a gateway that could let nobody in does not start", .timeLimit(.minutes(1)))
        func gatewayWithoutTokens() async throws {
            let folder = try TemporaryFolder()
            let process = try ProgramProcess(
                ApusProgram.gateway.url, ["--gateway-listen", "127.0.0.1:0"], folder: folder.url)
            #expect(try await process.waitForExit() == .status(78))
            #expect(process.output.contains("gateway.token.secret"), "\(process.output)")
        }

        @Test(
            "the configuration that deploy/ offers is accepted", .timeLimit(.minutes(1)),
            arguments: ApusProgram.services)
        func offeredConfiguration(service: ApusProgram) async throws {
            let folder = try TemporaryFolder()
            let offered = projectFolder.appending(path: "deploy/apus.yaml").path
            let process = try ProgramProcess(
                service.url,
                ["--config", offered, "--admin-listen", "127.0.0.1:0", "--nats-url", "nats://127.0.0.1:9"]
                    + (service == .gateway ? ["--gateway-listen", "127.0.0.1:0"] : []),
                environment: try environmentExample(), folder: folder.url)
            _ = try await process.waitForLine { ApusSystem.value(of: "admin", in: $0) }
            process.signal(SIGTERM)
            #expect(try await process.waitForExit() == .status(0))
        }

        /// The variables that deploy/env.example sets.
        private func environmentExample() throws -> [String: String] {
            let text = try String(contentsOf: projectFolder.appending(path: "deploy/env.example"), encoding: .utf8)
            let pairs = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                line.firstIndex(of: "=").map { (String(line[..<$0]), String(line[line.index(after: $0)...])) }
            }
            return Dictionary(uniqueKeysWithValues: pairs)
        }

        @Test(
            "docs/configuration.md has exactly the keys of --help, with type and default", .timeLimit(.minutes(1)),
            arguments: ApusProgram.services)
        func documentedKeys(service: ApusProgram) async throws {
            let process = try ProgramProcess(service.url, ["--help"])
            #expect(try await process.waitForExit() == .status(0))
            let help = ConfigurationKey.inHelp(process.output)
            let documented = ConfigurationKey.inDocument(
                try String(contentsOf: projectFolder.appending(path: "docs/configuration.md"), encoding: .utf8),
                section: service.rawValue)
            #expect(help.count >= 7, "--help lists no keys:\n\(process.output)")
            for key in help where !documented.contains(key) {
                Issue.record("docs/configuration.md lacks or mistakes: \(key)")
            }
            for key in documented where !help.contains(key) {
                Issue.record("docs/configuration.md has what --help has not: \(key)")
            }
        }
    }
}

/// A key as `--help` and the documentation show it.
struct ConfigurationKey: Hashable, CustomStringConvertible {
    var key: String
    var type: String
    var defaultValue: String?

    var description: String { "\(key) (\(type)\(defaultValue.map { ", default \($0)" } ?? ""))" }

    /// Options spell `.` and `_` alike as `-`, so that is how keys are compared.
    private static func spelledAsFlag(_ key: String) -> String {
        key.replacing(".", with: "-").replacing("_", with: "-")
    }

    /// Lines `  --nats-url  (list, default nats://127.0.0.1:4222)` and `  gateway.namespaces  (YAML, file only)`.
    static func inHelp(_ text: String) -> Set<ConfigurationKey> {
        var found: Set<ConfigurationKey> = []
        for line in text.split(separator: "\n") {
            guard
                let match = line.wholeMatch(
                    of: /\s\s(--)?([a-z][a-z0-9._-]*)\s\s\((YAML, file only|[a-z]+)(?:, default (.*))?\)/)
            else { continue }
            let name = String(match.2)
            found.insert(
                ConfigurationKey(
                    key: spelledAsFlag(name), type: String(match.3),
                    defaultValue: match.4.map(String.init)))
        }
        return found
    }

    /// Rows `| `nats.url` | list | `nats://127.0.0.1:4222` | … |` of the table under "Every service" and of the one under
    /// the service's own heading.
    static func inDocument(_ text: String, section: String) -> Set<ConfigurationKey> {
        var found: Set<ConfigurationKey> = []
        var isRead = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { isRead = line.contains("Every service") || line.contains(section) }
            guard isRead,
                let match = line.prefixMatch(of: /\| `([a-z0-9._-]+)` \| ([A-Za-z, ]+) \| (?:`([^`]*)`)? *\|/)
            else { continue }
            found.insert(
                ConfigurationKey(
                    key: spelledAsFlag(String(match.1)), type: String(match.2), defaultValue: match.3.map(String.init)))
        }
        return found
    }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let url: URL
    var path: String { url.path }

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func write(_ name: String, _ text: String) throws -> URL {
        let file = url.appending(path: name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}
