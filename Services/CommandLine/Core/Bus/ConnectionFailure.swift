/// Says in one line why the bus cannot be used and what to do about it.
public enum ConnectionFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing answers at any of the servers. `source` says where the addresses come from, if not from the default.
    case unreachable(servers: [String], source: String?)
    /// A server answers but does not let us in, or something else listens there.
    case refused(servers: [String], reason: String)
    case noJetStream(server: String)
    /// Nobody answers a call.
    case noService(method: String, program: String)

    public var description: String {
        switch self {
        case .unreachable(let servers, let source):
            "cannot reach NATS at \(list(servers))\(source.map { " (from \($0))" } ?? ""): "
                + "start one with `apus dev`, or name yours with --nats-url"
        case .refused(let servers, let reason):
            "NATS at \(list(servers)) does not take the connection: \(reason)"
        case .noJetStream(let server):
            "the NATS server at \(server) runs without JetStream: start it with `nats-server --jetstream`"
        case .noService(let method, let program):
            "no service answers \(method): start \(program) (`apus services` lists what runs)"
        }
    }

    /// Addresses as they may be shown: without user and password.
    private func list(_ servers: [String]) -> String {
        servers.map { ServerAddress($0)?.description ?? TerminalText.safe($0) }.joined(separator: ", ")
    }
}
