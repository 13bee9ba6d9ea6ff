internal import Events
internal import Logging

/// The keys that every service has.
struct CommonSettings: Sendable {
    var servers: [String]
    var credentials: String?
    var subjects: Subjects
    var adminAddress: ListenAddress
    var logLevel: Logger.Level
    var logFormat: ServiceLogHandler.Format
    var shutdownTimeout: Duration

    init(from settings: inout SettingsReader) {
        servers = settings.list("nats.url")
        credentials = settings.string("nats.credentials")
        adminAddress = settings.address("admin.listen") ?? ListenAddress(host: "127.0.0.1", port: 0)
        logLevel = settings.choice("log.level") ?? .info
        logFormat = settings.choice("log.format") ?? .text
        shutdownTimeout = settings.duration("shutdown.timeout") ?? .seconds(30)
        let prefix = settings.string("bus.prefix") ?? "apus"
        if let subjects = Subjects(prefix: prefix) {
            self.subjects = subjects
        } else {
            subjects = .standard
            settings.report("bus.prefix", "a prefix is letters, digits, _ and -, without dots")
        }
        for server in servers where !server.contains("://") || server.hasSuffix("://") {
            settings.report("nats.url", "a server is written nats://HOST:PORT or tls://HOST:PORT")
        }
    }
}
