internal import CommandLineCore
internal import EventBus
internal import Events
internal import Foundation
internal import JSON
internal import ServiceKit

/// What `apus doctor` looks at, one thing after the other.
struct Examination {
    let options: BusOptions

    func findings() async -> [Finding] {
        let server = ServerProgram.find()
        var findings = MachineExamination.findings(server)
        let settings: ToolSettings
        do {
            settings = try options.settings()
            findings += ConfigurationExamination(settings: settings).findings()
        } catch {
            findings.append(
                Finding(
                    .problem, "configuration", "\(Failure(explaining: error))".replacing("\n", with: "; "),
                    remedy: "correct the file; `apus-gateway --help` and its like list every key"))
            return findings
        }
        findings += await BusExamination(options: options, settings: settings, hasServerProgram: server != nil)
            .findings()
        findings += await GatewayExamination(settings: settings).findings()
        return findings
    }
}

/// nats-server, where it is and which.
struct ServerProgram {
    let path: String
    let version: String?

    static func find() -> ServerProgram? {
        guard let path = ExecutableSearch(siblings: false).path(of: "nats-server") else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = ["--version"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return ServerProgram(path: path, version: nil) }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        // "nats-server: v2.9.10"
        let version = text.split(whereSeparator: \.isWhitespace).last.map { $0.hasPrefix("v") ? $0.dropFirst() : $0 }
        return ServerProgram(path: path, version: version.map(String.init))
    }
}

/// This machine: programs, limits.
enum MachineExamination {
    static func findings(_ server: ServerProgram?) -> [Finding] {
        var findings: [Finding] = []
        if let server {
            findings.append(
                Finding(.ok, "nats-server", "\(server.version ?? "of unknown version"), \(server.path)"))
        } else {
            findings.append(
                Finding(
                    .warning, "nats-server", "not installed here",
                    remedy: "`apt-get install nats-server`, unless NATS runs on another machine"))
        }
        let search = ExecutableSearch(siblings: true)
        let missing = DevelopmentPlan.services.filter { search.path(of: $0) == nil }
        findings.append(
            missing.isEmpty
                ? Finding(.ok, "programs", DevelopmentPlan.services.joined(separator: ", "))
                : Finding(
                    .warning, "programs", "not found: \(missing.joined(separator: ", "))",
                    remedy: "`swift build` makes them; they stand beside apus or in the PATH"))
        findings.append(openFiles())
        return findings
    }

    /// A gateway needs one descriptor per client.
    private static func openFiles() -> Finding {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return Finding(.warning, "open files", "the limit is not known")
        }
        let (soft, hard) = (limit.rlim_cur, limit.rlim_max)
        let shown = soft > 1 << 40 ? "unlimited" : String(soft)
        guard soft >= 4096 else {
            return Finding(
                .warning, "open files", "\(shown) at once: so many clients at the most",
                remedy: hard > soft
                    ? "`ulimit -n \(min(hard, 65_536))` before starting, or LimitNOFILE= in the systemd unit"
                    : "raise the limit in /etc/security/limits.conf, or LimitNOFILE= in the systemd unit")
        }
        return Finding(.ok, "open files", "\(shown) at once")
    }
}

/// The configuration file, as far as the tool knows it.
struct ConfigurationExamination {
    let settings: ToolSettings

    func findings() -> [Finding] {
        [file(), secret(), apiKey()].compactMap { $0 } + databases()
    }

    private func file() -> Finding {
        guard let path = settings.configurationFile else {
            return Finding(
                .ok, "configuration", "no file: defaults and environment (--config has a file of yours examined)")
        }
        return Finding(.ok, "configuration", path)
    }

    private func secret() -> Finding {
        guard let secret = settings.tokenSecret else {
            return Finding(
                .warning, "token secret", "none: the gateway starts only with gateway.anonymous or a JWKS file",
                remedy: "set gateway.token.secret, for instance to what `openssl rand -hex 32` prints")
        }
        guard secret.utf8.count >= 32 else {
            return Finding(
                .warning, "token secret", "short: \(secret.utf8.count) bytes can be guessed",
                remedy: "use 32 or more, such as what `openssl rand -hex 32` prints")
        }
        return Finding(.ok, "token secret", "set")
    }

    private func apiKey() -> Finding? {
        guard settings.configurationFile != nil else { return nil }
        return settings.apiKey == nil
            ? Finding(
                .warning, "API key", "none: the server API refuses every call",
                remedy: "set gateway.api.key if backends use the HTTP API")
            : Finding(.ok, "API key", "set")
    }

    private func databases() -> [Finding] {
        guard let path = settings.configurationFile, let file = try? SettingsLoader.read(path) else { return [] }
        let sources = file["livesync"]?["sources"]?.arrayValue ?? []
        return sources.compactMap { $0["sqlite"]?.stringValue }.map { path in
            let absolute = URL(fileURLWithPath: path).path
            guard access(absolute, F_OK) == 0 else {
                return Finding(
                    .problem, "database", "\(absolute) does not exist",
                    remedy: "make it, or correct livesync.sources; a relative path counts from where live sync starts")
            }
            guard access(absolute, R_OK | W_OK) == 0 else {
                return Finding(
                    .problem, "database", "\(absolute) cannot be read and written",
                    remedy: "live sync keeps its change table in it: let its user write the file and its folder")
            }
            return Finding(.ok, "database", absolute)
        }
    }
}
