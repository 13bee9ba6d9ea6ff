internal import EventBusNATS
internal import Events
internal import Foundation
internal import Logging

/// The keys that every service has.
struct CommonSettings: Sendable {
    var servers: [String]
    var credentials: String?
    var tls: NATSConfiguration.TLSFiles
    var subjects: Subjects
    var adminAddress: ListenAddress
    var logLevel: Logger.Level
    var logFormat: ServiceLogHandler.Format
    var shutdownTimeout: Duration

    init(from settings: inout SettingsReader) {
        servers = settings.list("nats.url")
        credentials = settings.file("nats.credentials")
        tls = NATSConfiguration.TLSFiles(
            authorities: settings.file("nats.tls.ca"), certificate: settings.file("nats.tls.certificate"),
            key: settings.file("nats.tls.key"))
        if (tls.certificate == nil) != (tls.key == nil) {
            settings.report(
                tls.key == nil ? "nats.tls.key" : "nats.tls.certificate", "certificate and key are given together")
        }
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

extension SettingsReader {
    /// The path of a file that must be there.
    fileprivate mutating func file(_ key: String) -> String? {
        guard let path = string(key) else { return nil }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue,
            FileManager.default.isReadableFile(atPath: path)
        else {
            report(key, "the file \(path) cannot be read")
            return nil
        }
        return path
    }
}
