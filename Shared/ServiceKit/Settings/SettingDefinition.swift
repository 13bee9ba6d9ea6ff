/// One configuration key: what it is called, what it takes, and what it does.
///
/// Every key has three spellings: `nats.url` in the YAML file, `APUS_NATS_URL` in the environment, `--nats-url` on the
/// command line. The command line beats the environment, that beats the file, and the file beats the default.
public struct SettingDefinition: Sendable {
    public enum Kind: String, Sendable {
        case string
        /// A string that is never printed.
        case secret
        case integer
        case boolean
        /// `500ms`, `30s`, `5m`, `24h`, `7d`.
        case duration
        /// `HOST:PORT`; port 0 picks a free one.
        case address
        /// Comma-separated, or a YAML list.
        case list
        /// A YAML list or mapping; from the file only.
        case structure
    }

    public let key: String
    public let kind: Kind
    public let defaultValue: String?
    public let help: String

    public init(_ key: String, _ kind: Kind, default defaultValue: String? = nil, _ help: String) {
        self.key = key
        self.kind = kind
        self.defaultValue = defaultValue
        self.help = help
    }

    /// `--nats-url`; an underscore in a key is a dash here.
    public var flag: String { "--" + key.replacing(".", with: "-").replacing("_", with: "-") }

    /// `APUS_NATS_URL`.
    public var environmentVariable: String { "APUS_" + key.replacing(".", with: "_").uppercased() }

    /// What every service has besides its own section.
    public static let common: [SettingDefinition] = [
        SettingDefinition(
            "nats.url", .list, default: "nats://127.0.0.1:4222",
            "one or more NATS servers, comma-separated; nats:// or tls://, user and password may stand in it"),
        SettingDefinition("nats.credentials", .string, "a NATS credentials file"),
        SettingDefinition(
            "nats.tls.ca", .string,
            "a PEM file with the certificates that may have signed the server's; unset: those that the system trusts"),
        SettingDefinition(
            "nats.tls.certificate", .string, "our own certificate, a PEM file, for servers that ask for one"),
        SettingDefinition("nats.tls.key", .string, "the key of nats.tls.certificate, a PEM file"),
        SettingDefinition(
            "bus.prefix", .string, default: "apus",
            "first token of every subject, so that several deployments can share a NATS account"),
        SettingDefinition(
            "admin.listen", .address, default: "127.0.0.1:0", "where /health, /ready and /metrics are served"),
        SettingDefinition(
            "log.level", .string, default: "info", "trace, debug, info, notice, warning, error or critical"),
        SettingDefinition("log.format", .string, default: "text", "text or json"),
        SettingDefinition(
            "shutdown.timeout", .duration, default: "30s", "how long a drain may take before what is left is cut off"),
    ]
}

/// The configuration of a service: its definitions, and how it is read and checked.
public protocol ServiceConfiguration: Sendable {
    /// The service's own keys; ``SettingDefinition/common`` is added to them.
    static var definitions: [SettingDefinition] { get }

    /// What the service's metrics mean, by name: one sentence each, which `/metrics` shows.
    static var metrics: [String: String] { get }

    /// Whether the service's work is requests to the bus and writes to streams, so that they get a connection of their own.
    static var makesManyRequests: Bool { get }

    /// Reads all keys. What is wrong is reported on the reader, which collects every problem; whatever this returns after
    /// a report is never used.
    init(from settings: inout SettingsReader)
}

extension ServiceConfiguration {
    public static var makesManyRequests: Bool { false }

    public static var metrics: [String: String] { [:] }
}
