package import GatewaySession
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
package import NIOPosix
internal import ServiceLifecycle

/// What the edge needs besides the shards.
package struct EdgeConfiguration: Sendable {
    package var host: String
    /// 0 picks a free one.
    package var port: Int
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
        host: String, port: Int, origins: OriginPolicy = OriginPolicy([]), limits: GatewayLimits = GatewayLimits(),
        pingInterval: Duration = .seconds(25), offersEcho: Bool = false, compressesMessages: Bool = false,
        serverAPIKey: String? = nil, upload: UploadConfiguration? = nil, page: PageConfiguration = PageConfiguration(),
        drain: DrainPolicy = DrainPolicy()
    ) {
        self.host = host
        self.port = port
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
    /// How long a connection of HTTP may wait between two requests, and for the head of the second.
    private static let idleTimeout = Duration.seconds(75)

    private let configuration: EdgeConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let shards: ShardGroup
    private let services: EdgeServices
    private let onListening: @Sendable (Int) -> Void
    private let onDraining: @Sendable () -> Void
    private let logger: Logger

    /// - Parameters:
    ///   - onListening: gets the port once clients can connect.
    ///   - onDraining: called when the gateway begins to leave, before any client is told.
    package init(
        configuration: EdgeConfiguration, group: MultiThreadedEventLoopGroup, shards: ShardGroup,
        services: EdgeServices, logger: Logger, onListening: @escaping @Sendable (Int) -> Void,
        onDraining: @escaping @Sendable () -> Void = {}
    ) {
        self.configuration = configuration
        self.group = group
        self.shards = shards
        self.services = services
        self.logger = logger
        self.onListening = onListening
        self.onDraining = onDraining
    }

    package func run() async throws {
        let ticks = shards.startTicking()
        defer { for tick in ticks { tick.cancel() } }
        let longPolls = LongPollSessions(shards: shards)
        longPolls.serve(services.nodes)
        let router = HTTPRoutes(
            configuration: configuration, shards: shards, services: services, longPolls: longPolls, logger: logger
        )
        .router()
        let routes = SocketRoutes(
            shards: shards, origins: configuration.origins, limits: configuration.limits,
            offersEcho: configuration.offersEcho, phoenix: PhoenixRules(services),
            compressors: configuration.compressesMessages ? LoopCompressors(group) : nil)
        let limits = configuration.limits
        let pingInterval = configuration.pingInterval
        let admission = ConnectionAdmission(maximum: limits.connections, metrics: services.metrics)
        let onListening = self.onListening
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .error)
        let application = Application(
            router: router,
            server: HTTPServerBuilder { responder in
                EdgeChannel(
                    http: HTTP1Channel(
                        responder: responder,
                        configuration: HTTP1Channel.Configuration(
                            additionalChannelHandlers: [SlowRequestHandler(admission: admission)],
                            idleTimeout: TimeAmount(GatewayServer.idleTimeout))),
                    routes: routes, limits: limits, admission: admission, unacknowledgedTimeout: pingInterval * 2)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: "apus",
                backlog: 4096),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(group), logger: quiet)
        try await withThrowingDiscardingTaskGroup { tasks in
            let (stopping, stop) = AsyncStream<Void>.makeStream()
            tasks.addTask { [shards, logger, drain = configuration.drain] in
                for await _ in stopping {
                    let count = await shards.connectionCount
                    logger.info("draining", metadata: ["connections": "\(count)"])
                    await shards.drain(drain)
                    logger.info("all clients were told to go", metadata: ["connections": "\(count)"])
                }
            }
            try await withGracefulShutdownHandler {
                try await application.run()
            } onGracefulShutdown: { [shards, onDraining] in
                shards.refuseNewConnections()
                onDraining()
                stop.yield()
            }
            stop.finish()
        }
    }
}
