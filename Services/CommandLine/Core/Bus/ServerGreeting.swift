internal import JSON

/// What a NATS server says first to whoever connects: `INFO {…}`.
public struct ServerGreeting: Sendable, Equatable {
    public let version: String
    public let name: String
    public let hasJetStream: Bool
    public let requiresAuthorization: Bool
    public let requiresTLS: Bool
    public let maximumPayload: Int64

    /// - Returns: nil for what is not a NATS server's greeting.
    public init?(line: some StringProtocol) {
        guard line.hasPrefix("INFO "), let information = try? JSONValue(parsing: Array(line.dropFirst(5).utf8)),
            let version = information["version"]?.stringValue
        else { return nil }
        self.version = TerminalText.safe(version)
        name = TerminalText.safe(information["server_name"]?.stringValue ?? "")
        hasJetStream = information["jetstream"]?.boolValue ?? false
        requiresAuthorization = information["auth_required"]?.boolValue ?? false
        requiresTLS = information["tls_required"]?.boolValue ?? false
        maximumPayload = information["max_payload"]?.integerValue ?? 0
    }
}
