package import GatewaySession
package import Logging
internal import NIOPosix
internal import Reactor
internal import ServiceLifecycle
package import TLS

/// What the edge needs besides the shards.
package struct EdgeConfiguration: Sendable {
    package var host: String
    /// 0 picks a free one.
    package var port: Int
    /// With it all connections are encrypted.
    package var tls: TLSContext?
    package var origins: OriginPolicy
    package var limits: GatewayLimits
    package var pingInterval: Duration
    package var offersEcho: Bool
    /// Whether WebSockets offer permessage-deflate.
    package var compressesMessages: Bool
    package var serverAPIKey: String?
    package var upload: UploadConfiguration?
    package var page: PageConfiguration
    package var drain: DrainPolicy

    package init(
        host: String, port: Int, tls: TLSContext? = nil, origins: OriginPolicy = OriginPolicy([]),
        limits: GatewayLimits = GatewayLimits(), pingInterval: Duration = .seconds(25), offersEcho: Bool = false,
        compressesMessages: Bool = false,
        serverAPIKey: String? = nil, upload: UploadConfiguration? = nil, page: PageConfiguration = PageConfiguration(),
        drain: DrainPolicy = DrainPolicy()
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.origins = origins
        self.limits = limits
        self.pingInterval = pingInterval
        self.offersEcho = offersEcho
        self.compressesMessages = compressesMessages
        self.serverAPIKey = serverAPIKey
        self.upload = upload
        self.page = page
        self.drain = drain
    }
}

/// The gateway's listening socket and everything behind it, until shutdown begins; then every client is told to come back,
/// and this ends when all have gone.
package struct GatewayServer: Service {
    private let configuration: EdgeConfiguration
    private let shards: ShardGroup
    private let services: EdgeServices
    private let onListening: @Sendable (Int) -> Void
    private let onDraining: @Sendable () -> Void
    private let logger: Logger

    /// - Parameters:
    ///   - onListening: gets the port once clients can connect.
    ///   - onDraining: called when the gateway begins to leave, before any client is told.
    package init(
        configuration: EdgeConfiguration, shards: ShardGroup, services: EdgeServices, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void, onDraining: @escaping @Sendable () -> Void = {}
    ) {
        self.configuration = configuration
        self.shards = shards
        self.services = services
        self.logger = logger
        self.onListening = onListening
        self.onDraining = onDraining
    }

    package func run() async throws {
        let limits = configuration.limits
        let admission = ConnectionAdmission(maximum: limits.connections, metrics: services.metrics)
        let loops = shards.loops(limits: limits, admission: admission)
        let http = makeHTTP(admission)
        let handshakes = TLSHandshakeMetrics()
        let desk = FrontDesk(
            routes: SocketRoutes(
                shards: shards, origins: configuration.origins, limits: limits, offersEcho: configuration.offersEcho,
                phoenix: PhoenixRules(services), compressesMessages: configuration.compressesMessages),
            http: http, tls: configuration.tls.map { TLSAcceptor(context: $0, metrics: handshakes, logger: logger) })
        let listener = try SocketListener(
            host: configuration.host, port: configuration.port,
            unacknowledgedTimeout: configuration.pingInterval * 2, loops: loops, logger: logger,
            receive: { descriptor, loop in desk.receive(descriptor, loop) })
        let ticking = shards.startTicking(loops)
        defer { ticking.stop() }
        listener.start()
        onListening(listener.port)
        let (stopping, stop) = AsyncStream<Void>.makeStream()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await http.run() }
            await withGracefulShutdownHandler {
                for await _ in stopping {}
            } onGracefulShutdown: {
                stop.finish()
            }
            listener.stop()
            shards.refuseNewConnections()
            onDraining()
            http.quiesce()
            for loop in loops { loop.reactor.execute { loop.closeUndecided() } }
            let count = await shards.connectionCount
            logger.info("draining", metadata: ["connections": "\(count)"])
            await shards.drain(configuration.drain)
            logger.info("all clients were told to go", metadata: ["connections": "\(count)"])
            await admission.whenEmpty()
            http.finish()
        }
    }

    private func makeHTTP(_ admission: ConnectionAdmission) -> HTTPConnections {
        let longPolls = LongPollSessions(shards: shards)
        longPolls.serve(services.nodes)
        let router = HTTPRoutes(
            configuration: configuration, shards: shards, services: services, longPolls: longPolls, logger: logger
        )
        .router()
        return HTTPConnections(
            router: router, group: MultiThreadedEventLoopGroup(numberOfThreads: shards.count), admission: admission,
            logger: logger)
    }
}
