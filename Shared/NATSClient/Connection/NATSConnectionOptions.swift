/// How to reach NATS, and what to do while it cannot be reached.
public struct NATSConnectionOptions: Sendable {
    /// One or more `nats://[user:password@]host:port` or `tls://…`; tried in random order. If one of them says `tls://`, no
    /// connection is made without TLS; otherwise it is used where the server wants it.
    public var servers: [String]
    /// The path of a credentials file (JWT and key), if the servers want one.
    public var credentials: String?
    public var tls = TLSFiles()
    /// What the servers call this connection in their logs and reports.
    public var name: String
    /// How long one attempt to connect to one server may take.
    public var connectTimeout: Duration = .seconds(2)
    /// How often to ask whether the server is there; two unanswered questions end the connection, and a new one is tried.
    public var pingInterval: Duration = .seconds(5)
    /// How long a write may block when the server takes nothing, before the connection counts as lost.
    public var writeDeadline: Duration = .seconds(2)
    /// The longest pause between two rounds of attempts. The first follows at once; then pauses double from 50 ms.
    public var maximumReconnectDelay: Duration = .seconds(2)
    /// How many bytes of published messages are kept while no server can be reached; beyond it publishing fails.
    public var reconnectBufferBytes = 8 << 20
    /// How many messages, and bytes of them, may wait for the callback of one subscription; beyond it they are dropped
    /// and reported as ``NATSConnectionEvent/slowConsumer(subject:dropped:)``.
    public var pendingMessages = 65_536
    public var pendingBytes = 64 << 20
    /// Whether each message is written to the socket at once (low latency) or by a flusher within about a millisecond
    /// (less work per message).
    public var sending = Sending.immediately

    /// Files in PEM format. A server's certificate is always checked, its name against the server's URL.
    public struct TLSFiles: Sendable {
        /// The certificates of those who may have signed a server's; nil for those that the system trusts.
        public var authorities: String?
        /// Our own certificate, with what leads to its authority, and its key: for servers that ask for one.
        public var certificate: String?
        public var key: String?

        public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }

    /// Whether requests have a connection of their own, on which each costs less, wherever one is possible.
    public var makesManyRequests = false

    public enum Sending: Sendable {
        case immediately
        case batched
    }

    public init(servers: [String], credentials: String? = nil, name: String = "") {
        self.servers = servers
        self.credentials = credentials
        self.name = name
    }
}

extension NATSConnectionOptions {
    /// How long to wait before round `attempt` (from 1) of connecting to every server once. `random` is in 0..<1: without
    /// it a thousand clients of a restarted server would come back in the same millisecond.
    func reconnectDelay(attempt: Int, random: Double) -> Duration {
        guard attempt > 1 else { return .milliseconds(50) * random }
        let doubled = Duration.milliseconds(50) * (1 << min(attempt - 1, 16))
        return min(doubled, maximumReconnectDelay) * (0.5 + random / 2)
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, within what libnats's integers hold.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < Int64.max / 2000 else { return Int64.max / 2 }
        guard seconds >= 0 else { return 0 }
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }

    /// Whole nanoseconds, as JetStream counts time.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? .max : sum
    }
}
