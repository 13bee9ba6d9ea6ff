/// Where `apus dev` finds or starts its NATS server.
public enum ServerPlan: Sendable, Equatable {
    /// Somebody named a server: it is used and never stopped.
    case use(url: String)
    /// One of our own on this port. `note` says why it is not the usual one.
    case start(port: Int, note: String?)

    public var url: String {
        switch self {
        case .use(let url): url
        case .start(let port, _): "nats://127.0.0.1:\(port)"
        }
    }

    /// - Parameters:
    ///   - namedURL: from the flag or the environment.
    ///   - wanted: a port that somebody asked for; 0 is any that is free.
    ///   - isFree: whether a port of this machine can be listened on.
    ///   - freePort: any free port.
    /// - Returns: nil if there is no such port.
    public static func decide(
        namedURL: String?, wanted: Int? = nil, isFree: (Int) -> Bool, freePort: () -> Int?
    ) -> ServerPlan? {
        if let namedURL { return .use(url: namedURL) }
        if let wanted {
            guard wanted != 0 else { return freePort().map { .start(port: $0, note: nil) } }
            return isFree(wanted) ? .start(port: wanted, note: nil) : nil
        }
        let usual = ServerAddress.defaultPort
        if isFree(usual) { return .start(port: usual, note: nil) }
        guard let port = freePort() else { return nil }
        return .start(
            port: port,
            note: "port \(usual) is taken by another program, which is left alone: NATS gets port \(port) "
                + "(to use the server on \(usual): --nats-url nats://127.0.0.1:\(usual))")
    }
}

/// Where the gateway of `apus dev` listens.
public enum GatewayPlan: Sendable, Equatable {
    case listen(port: Int)
    /// What to tell instead of starting anything.
    case problem(String)

    public static let usualPort = 8080

    /// - Parameters:
    ///   - wanted: from `--port` or the configuration file.
    ///   - freePort: a port that could be named instead.
    public static func decide(wanted: Int, isFree: (Int) -> Bool, freePort: () -> Int?) -> GatewayPlan {
        if wanted == 0 {
            return freePort().map { .listen(port: $0) } ?? .problem("no port is free on this machine")
        }
        if isFree(wanted) { return .listen(port: wanted) }
        let other = freePort().map { ", for instance --port \($0)" } ?? ""
        return .problem(
            "port \(wanted) is in use by another program: stop that one, or choose a port with --port\(other)")
    }
}
