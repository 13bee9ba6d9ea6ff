/// One NATS server, as `nats.url` names it.
public struct ServerAddress: Sendable, Equatable {
    public let scheme: String
    public let host: String
    public let port: Int

    public static let defaultPort = 4222

    /// Reads `nats://[USER[:PASSWORD]@]HOST[:PORT]`, also with `tls://` or without a scheme; nil for anything else.
    public init?(_ text: String) {
        var rest = Substring(text)
        if let mark = rest.firstRange(of: "://") {
            scheme = String(rest[..<mark.lowerBound])
            rest = rest[mark.upperBound...]
        } else {
            scheme = "nats"
        }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        if let slash = rest.firstIndex(of: "/") { rest = rest[..<slash] }
        let port: Substring?
        if rest.hasPrefix("["), let bracket = rest.firstIndex(of: "]") {
            let after = rest[rest.index(after: bracket)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            port = after.isEmpty ? nil : after.dropFirst()
            rest = rest[rest.index(after: rest.startIndex)..<bracket]
        } else if let colon = rest.lastIndex(of: ":") {
            port = rest[rest.index(after: colon)...]
            rest = rest[..<colon]
        } else {
            port = nil
        }
        guard !rest.isEmpty, !scheme.isEmpty, !rest.contains(" ") else { return nil }
        if let port {
            guard let number = Int(port), (1...65_535).contains(number) else { return nil }
            self.port = number
        } else {
            self.port = ServerAddress.defaultPort
        }
        host = String(rest)
    }

    public var isLocal: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

extension ServerAddress: CustomStringConvertible {
    /// Without user and password, which belong in no message.
    public var description: String { "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
