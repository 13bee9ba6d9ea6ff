/// Where a ``NATSEventBus`` finds its servers.
public struct NATSConfiguration: Sendable, Equatable {
    /// One or more `nats://[user:password@]host:port` or `tls://…`; the latter makes TLS a must.
    public var servers: [String]
    /// The path of a NATS credentials file.
    public var credentials: String?
    public var tls: TLSFiles
    /// What the servers call this connection in their logs and reports: the service's name.
    public var name: String
    /// How many bytes of published messages are kept while no server can be reached.
    public var reconnectBufferBytes: Int
    /// How many messages may wait for the callback of one subscription before further ones are dropped and reported.
    public var pendingMessages: Int
    /// How long to wait for an answer of JetStream's.
    public var requestTimeout: Duration
    /// Whether requests, streams and buckets get a connection and a thread of their own, on which each costs several times
    /// less: for services whose work they are.
    public var makesManyRequests = false

    public init(
        servers: [String] = ["nats://127.0.0.1:4222"], credentials: String? = nil, tls: TLSFiles = TLSFiles(),
        name: String = "apus",
        reconnectBufferBytes: Int = 8 << 20, pendingMessages: Int = 65_536, requestTimeout: Duration = .seconds(5)
    ) {
        self.servers = servers
        self.credentials = credentials
        self.tls = tls
        self.name = name
        self.reconnectBufferBytes = reconnectBufferBytes
        self.pendingMessages = pendingMessages
        self.requestTimeout = requestTimeout
    }

    /// Files in PEM format.
    public struct TLSFiles: Sendable, Equatable {
        /// The certificates of those who may have signed a server's; nil for those that the system trusts.
        public var authorities: String?
        /// Our own certificate and its key, for servers that ask for one.
        public var certificate: String?
        public var key: String?

        public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }
}
