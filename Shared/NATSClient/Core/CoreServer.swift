/// A server as a URL names it, with what to say there about who we are.
struct CoreServer: Hashable, Sendable {
    var host: String
    var port: UInt16
    var user: String?
    var password: String?
    var token: String?
    /// Whether the URL says `tls://`.
    var wantsTLS = false

    static let standardPort: UInt16 = 4222

    /// Reads `nats://[user[:password]@]host[:port]`, where a user without a password is a token.
    init?(url: String) {
        var rest = url[...]
        if let separator = url.firstRange(of: "://") {
            switch url[..<separator.lowerBound].lowercased() {
            case "nats": break
            case "tls": wantsTLS = true
            default: return nil
            }
            rest = url[separator.upperBound...]
        }
        if let slash = rest.lastIndex(of: "/"), !rest[slash...].contains("@") { rest = rest[..<slash] }
        if let at = rest.lastIndex(of: "@") {
            let identity = rest[..<at]
            rest = rest[rest.index(after: at)...]
            if let colon = identity.firstIndex(of: ":") {
                user = String(identity[..<colon])
                password = String(identity[identity.index(after: colon)...])
            } else {
                token = String(identity)
            }
        }
        guard let (host, port) = CoreServer.address(rest) else { return nil }
        self.host = host
        self.port = port
    }

    /// Another server of the same cluster, where the same user is known.
    func sibling(at address: String) -> CoreServer? {
        guard let (host, port) = CoreServer.address(address[...]) else { return nil }
        var sibling = self
        sibling.host = host
        sibling.port = port
        return sibling
    }

    /// `host`, `host:port` or `[v6]:port`.
    private static func address(_ text: Substring) -> (host: String, port: UInt16)? {
        var host = text
        var port = standardPort
        let afterBrackets = text.lastIndex(of: "]").map { text[$0...] } ?? text
        if let colon = afterBrackets.lastIndex(of: ":") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return (String(host), port)
    }

    var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// In which order servers are tried: each once in a round, those of the configuration and those that a server has named.
struct ServerRotation: Sendable {
    private let configured: [CoreServer]
    private var learned: [CoreServer] = []
    private var waiting: [CoreServer] = []

    /// More are left out: whoever names so many is no server of ours.
    static let maximumLearned = 256

    init(_ configured: [CoreServer]) { self.configured = configured }

    var isRoundOver: Bool { waiting.isEmpty }

    /// How many there are.
    var count: Int { configured.count + learned.count }

    /// Whose turn it is; nil if there is no server at all.
    mutating func next(using random: inout some RandomNumberGenerator) -> CoreServer? {
        if waiting.isEmpty { waiting = (configured + learned).shuffled(using: &random) }
        return waiting.popLast()
    }

    /// `server` has said where the servers of its cluster are; what it said before is over.
    mutating func learn(_ addresses: [String], from server: CoreServer) {
        var known = Set(configured.map(\.address))
        learned = []
        for address in addresses.prefix(ServerRotation.maximumLearned) {
            guard let sibling = server.sibling(at: address), known.insert(sibling.address).inserted else { continue }
            learned.append(sibling)
        }
        let current = Set((configured + learned).map(\.address))
        waiting.removeAll { !current.contains($0.address) }
    }
}
