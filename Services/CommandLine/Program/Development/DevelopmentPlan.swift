internal import ArgumentParser
internal import CommandLineCore
internal import Foundation
internal import JSON
internal import ServiceKit

/// Everything that `apus dev` has to know before it starts the first program.
struct DevelopmentPlan: Sendable {
    /// One program to run.
    struct Program: Sendable {
        /// How it is called in the common log.
        let label: String
        let path: String
        let arguments: [String]
    }

    /// The ports that somebody asked for.
    struct Ports: Sendable {
        let page: Int?
        let nats: Int?
    }

    /// The NATS server of our own; nil when one was named.
    let server: Program?
    let natsURL: String
    let services: [Program]
    /// `http://HOST:PORT`, or `https` where the gateway has a certificate.
    let page: String
    let configurationPath: String
    /// Nil when the configuration, somebody's own, has none.
    let tokenSecret: String?
    /// What people should know.
    let notes: [String]

    static let services = ["apus-worker", "apus-notifier", "apus-livesync", "apus-gateway"]

    /// Looks at the machine, and makes what is missing in the data folder. Starts nothing.
    /// - Throws: ``Failure`` that says what is missing or in the way, and what to do.
    static func make(
        folder: DataFolder, options: BusOptions, ports: Ports, logLevel: String?, environment: [String: String]
    ) async throws -> DevelopmentPlan {
        let search = ExecutableSearch(siblings: true, environment: environment)
        let paths = try servicePaths(search)
        let named = options.file.path ?? environment["APUS_CONFIG"]
        try folder.create()
        // Taken for a moment to tell that the folder is in use before anything about ports is told.
        _ = try folder.lock()

        let existing = named ?? (folder.hasConfiguration ? folder.configurationPath : nil)
        let before = try ToolSettings(
            flags: options.flags, file: existing, isNamed: named != nil, environment: environment)
        let serverPlan = try await serverPlan(options, wanted: ports.nats, named: named, before, environment)
        let serverPath = try serverPath(serverPlan, search)
        let host = before.gatewayAddress.host
        let listen = try gatewayAddress(host: host, wanted: ports.page ?? before.gatewayAddress.port)

        var notes: [String] = []
        if case .start(_, let note?) = serverPlan { notes.append(note) }
        if named == nil {
            notes += try folder.fill(natsURL: serverPlan.url, gatewayAddress: listen.description).map { "made \($0)" }
        }
        let configuration = named ?? folder.configurationPath
        let settings = try ToolSettings(
            flags: options.flags, file: configuration, isNamed: named != nil, environment: environment)
        let shownHost = host == "0.0.0.0" ? "127.0.0.1" : host
        let scheme = settings.gatewaySpeaksTLS ? "https" : "http"
        return DevelopmentPlan(
            server: serverPath.map { server($0, serverPlan, folder) }, natsURL: serverPlan.url,
            services: zip(services, paths).map { name, path in
                service(name, path, configuration, serverPlan.url, listen, options, logLevel)
            },
            page: "\(scheme)://\(ListenAddress(host: shownHost, port: listen.port))",
            configurationPath: configuration, tokenSecret: settings.tokenSecret, notes: notes)
    }

    // MARK: Programs

    private static func servicePaths(_ search: ExecutableSearch) throws -> [String] {
        let paths = services.map(search.path)
        let missing = zip(services, paths).filter { $0.1 == nil }.map(\.0)
        guard missing.isEmpty else {
            throw Failure(
                "cannot find \(missing.joined(separator: ", ")), neither beside \(ExecutableSearch.ownPath) nor in the "
                    + "PATH: build all with `swift build`")
        }
        return paths.compactMap { $0 }
    }

    private static func serverPath(_ plan: ServerPlan, _ search: ExecutableSearch) throws -> String? {
        guard case .start = plan else { return nil }
        guard let path = search.path(of: "nats-server") else {
            throw Failure(
                "cannot find nats-server: install it (`apt-get install nats-server`), or name a running one with "
                    + "--nats-url")
        }
        return path
    }

    private static func server(_ path: String, _ plan: ServerPlan, _ folder: DataFolder) -> Program {
        let port = ServerAddress(plan.url)?.port ?? ServerAddress.defaultPort
        return Program(
            label: "nats", path: path,
            arguments: [
                "--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder.streamsPath,
                "--name", "apus-dev",
            ])
    }

    private static func service(
        _ name: String, _ path: String, _ configuration: String, _ natsURL: String, _ listen: ListenAddress,
        _ options: BusOptions, _ logLevel: String?
    ) -> Program {
        var arguments = [
            "--config", configuration, "--nats-url", natsURL, "--admin-listen", "127.0.0.1:0", "--log-format", "text",
            "--shutdown-timeout", "5s",
        ]
        if let prefix = options.busPrefix { arguments += ["--bus-prefix", prefix] }
        for (flag, file) in [
            ("--nats-credentials", options.natsCredentials), ("--nats-tls-ca", options.natsAuthorities),
            ("--nats-tls-certificate", options.natsCertificate), ("--nats-tls-key", options.natsKey),
        ] {
            if let file { arguments += [flag, file] }
        }
        if let logLevel { arguments += ["--log-level", logLevel] }
        if name == "apus-gateway" { arguments += ["--gateway-listen", listen.description] }
        return Program(label: String(name.dropFirst("apus-".count)), path: path, arguments: arguments)
    }

    // MARK: Ports

    private static func gatewayAddress(host: String, wanted: Int) throws -> ListenAddress {
        let plan = GatewayPlan.decide(
            wanted: wanted, isFree: { LocalPorts.isFree($0, host: host) }, freePort: LocalPorts.free)
        switch plan {
        case .listen(let port): return ListenAddress(host: host, port: port)
        case .problem(let problem): throw Failure(problem)
        }
    }

    /// A server that somebody named must be there; else we have our own.
    private static func serverPlan(
        _ options: BusOptions, wanted: Int?, named: String?, _ settings: ToolSettings, _ environment: [String: String]
    ) async throws -> ServerPlan {
        let url = options.natsURL ?? (wanted == nil ? environment["APUS_NATS_URL"] : nil)
        if let url {
            try await check(settings)
            return .use(url: url)
        }
        // A configuration of somebody's own may name a server that runs.
        if named != nil, wanted == nil, (try? await check(settings)) != nil {
            return .use(url: settings.servers.joined(separator: ","))
        }
        let plan = ServerPlan.decide(
            namedURL: nil, wanted: wanted, isFree: { LocalPorts.isFree($0) }, freePort: LocalPorts.free)
        guard let plan else {
            throw Failure(
                wanted.map { "port \($0) is in use by another program: name another with --nats-port, or 0 for any" }
                    ?? "no port is free on this machine for nats-server")
        }
        return plan
    }

    private static func check(_ settings: ToolSettings) async throws {
        let greeting = try await BusSession.firstGreeting(of: settings)
        guard greeting.hasJetStream else {
            throw ConnectionFailure.noJetStream(server: settings.servers.first ?? "")
        }
    }
}
