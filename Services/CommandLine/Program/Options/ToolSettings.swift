internal import ArgumentParser
internal import CommandLineCore
internal import EventBusNATS
internal import Events
internal import Foundation
internal import JSON
internal import ServiceKit

/// The keys of the services' configuration that the tool uses, read by the services' own rules.
struct ToolSettings: Sendable {
    let servers: [String]
    /// Where `servers` come from, when it is a file that nobody named on the command line.
    let serversSource: String?
    let credentials: String?
    let tls: NATSConfiguration.TLSFiles
    let subjects: Subjects
    let tokenSecret: String?
    let apiKey: String?
    let gatewayAddress: ListenAddress
    /// Whether clients must use https and wss.
    let gatewaySpeaksTLS: Bool
    /// The configuration file in use.
    let configurationFile: String?
    /// The `apus dev` that runs with that file; where its server is beats what the file says.
    let session: DevelopmentSession?

    private static let definitions: [SettingDefinition] =
        SettingDefinition.common.filter { ["nats", "bus"].contains($0.key.prefix { $0 != "." }) } + [
            SettingDefinition("gateway.token.secret", .secret, "signs tokens"),
            SettingDefinition("gateway.api.key", .secret, "the key of the server API"),
            SettingDefinition("gateway.listen", .address, default: "127.0.0.1:8080", "where clients connect"),
            SettingDefinition("gateway.tls.certificate", .string, "with it clients use https and wss"),
        ]

    /// The file is the one that is named, by the argument or by `APUS_CONFIG`, else that of `apus dev` in this folder.
    /// - Throws: ``Failure`` with exit status 78 for a configuration that cannot be used.
    init(
        flags: [String: String], configurationFile: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let usual = DataFolder(path: DataFolder.usualPath)
        let named = configurationFile ?? environment["APUS_CONFIG"]
        try self.init(
            flags: flags, file: named ?? (usual.hasConfiguration ? usual.configurationPath : nil),
            isNamed: named != nil,
            environment: environment)
    }

    /// - Parameters:
    ///   - flags: values from the command line, by key.
    ///   - file: the configuration file, if there is one.
    ///   - isNamed: whether somebody chose that file.
    init(flags: [String: String], file: String?, isNamed: Bool, environment: [String: String]) throws {
        configurationFile = file
        let folder = file.map { DataFolder(path: URL(fileURLWithPath: $0).deletingLastPathComponent().path) }
        session = folder?.runningSession()
        var environment = environment
        // Which file it is has been decided.
        environment["APUS_CONFIG"] = nil
        do {
            var reader = try SettingsLoader(definitions: ToolSettings.definitions).reader(
                flags: flags, environment: environment, configurationFile: file)
            let hasServers = flags["nats.url"] != nil || environment["APUS_NATS_URL"] != nil
            let listed = reader.list("nats.url")
            servers = hasServers ? listed : session.map { [$0.natsURL] } ?? listed
            serversSource = hasServers || isNamed ? nil : file
            credentials = reader.string("nats.credentials")
            tls = NATSConfiguration.TLSFiles(
                authorities: reader.string("nats.tls.ca"), certificate: reader.string("nats.tls.certificate"),
                key: reader.string("nats.tls.key"))
            tokenSecret = reader.string("gateway.token.secret")
            apiKey = reader.string("gateway.api.key")
            gatewayAddress = reader.address("gateway.listen") ?? ListenAddress(host: "127.0.0.1", port: 8080)
            gatewaySpeaksTLS = reader.string("gateway.tls.certificate") != nil
            let prefix = reader.string("bus.prefix") ?? "apus"
            if let subjects = Subjects(prefix: prefix) {
                self.subjects = subjects
            } else {
                subjects = .standard
                reader.report("bus.prefix", "a prefix is letters, digits, _ and -, without dots")
            }
            for server in servers where ServerAddress(server) == nil {
                reader.report("nats.url", "a server is written nats://HOST:PORT or tls://HOST:PORT")
            }
            // The gateway has many more keys than the tool reads: those are no mistakes.
            let known = Set(ToolSettings.definitions.map(\.key))
            let problems = reader.problems.filter { !$0.key.hasPrefix("gateway.") || known.contains($0.key) }
            guard problems.isEmpty else { throw SettingsLoader.Invalid(problems: problems) }
        } catch let invalid as SettingsLoader.Invalid {
            throw Failure("wrong configuration\n\(invalid)", exit: .configuration)
        }
    }
}
