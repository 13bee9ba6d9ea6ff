internal import EventBus
internal import Events
internal import Foundation
internal import GatewayEdge
internal import GatewaySession
internal import GatewayWire
internal import Identity
internal import JSON
internal import Logging
internal import Reactor
package import ServiceKit
package import ServiceLifecycle

/// Makes the gateway's parts, in dependency order: streams, hub, presence, sockets.
package func buildGateway(
    _ configuration: GatewayConfiguration, _ context: ServiceContext
) async throws -> [any Service] {
    raiseFileLimit()
    let namespaces = NamespaceTable(configured: configuration.namespaces)
    let policy = ChannelPolicy(namespaces: namespaces)
    let verifier = try await TokenVerifier(secret: configuration.tokenSecret, jwks: configuration.keySet)
    let clock = GatewayClock.system
    let node = UUID().uuidString.lowercased()
    let reactors = try makeReactors(configuration.loops)
    // What is read there for the shard of the same loop wakes nobody.
    let feed = context.channelFeed(configuration.feed, on: reactors[0])
    let hub = Hub(
        bus: context.bus, feed: feed, subjects: context.subjects, namespaces: namespaces, logger: context.logger,
        clock: clock.time)
    let canary = BusCanary(
        node: node, bus: context.bus, feed: feed, subjects: context.subjects, logger: context.logger,
        clock: clock.moment)
    let presence = PresenceService(
        node: node, bus: context.bus, subjects: context.subjects, lease: configuration.presenceLease,
        linger: configuration.presenceLinger, logger: context.logger, clock: clock.moment,
        onChange: { hub.deliver($0) })
    let backend = ChannelBackend(
        bus: context.bus, subjects: context.subjects, namespaces: namespaces, callTimeout: configuration.callTimeout,
        hookTimeout: configuration.hookTimeout, makeMessageID: { UUID().uuidString.lowercased() })
    let tokens = TokenChecks(
        TokenMemory(verifier, places: configuration.rememberedTokens, secret: randomBytes(64)),
        logger: context.logger, clock: clock.moment)
    let rules = SessionRules(
        policy: policy, limits: configuration.limits, allowsAnonymous: configuration.allowsAnonymous,
        pingInterval: configuration.pingInterval, version: "Apus \(context.version)", node: node,
        expiry: ExpiryRules(
            tokenGrace: configuration.tokenGrace, hookGrace: configuration.hookGrace,
            hookLead: configuration.hookTimeout),
        verify: { token, now throws(IdentityError) in try tokens.identity(of: token, now: now) },
        verifySubscription: { token, now throws(IdentityError) in try tokens.subscription(of: token, now: now) })
    let users = UserRegistry(limits: configuration.limits)
    let metrics = GatewayMetrics()
    let randomness = SystemRandomness()
    let environment = ShardEnvironment(
        rules: rules, hub: hub, backend: backend, presence: presence, users: users, metrics: metrics, clock: clock,
        makeClientID: { RandomID(high: randomness.next(), low: randomness.next()) },
        random: { randomness.next() }, logger: context.logger)
    let nodes = NodeRequests(node: node, bus: context.bus, subjects: context.subjects, logger: context.logger)
    let shards = ShardGroup(reactors: reactors, environment: environment)
    let startedAt = clock.moment()
    let version = context.version
    let control = ControlService(
        node: node, bus: context.bus, subjects: context.subjects, logger: context.logger, clock: clock.moment,
        makeID: { UUID().uuidString.lowercased() },
        carryOut: { question in
            switch question {
            case .order(let order, let selection): return .done(await shards.obey(order, for: selection))
            case .channels(let pattern):
                return .channels(await shards.channelCounts(pattern.flatMap { ChannelPattern($0) }))
            case .figures:
                let load = await shards.load
                let uptime = (clock.moment().milliseconds - startedAt.milliseconds) / 1000
                return .figures(
                    GatewayFigures(
                        name: "apus-gateway", version: version, clients: load.clients, users: load.users,
                        subscriptions: load.subscriptions, channels: hub.wantedCount, uptimeSeconds: Int(uptime)))
            }
        })
    context.startup.expect("listen")
    context.readiness.set("accepting", false)
    let server = GatewayServer(
        configuration: edgeConfiguration(configuration, context), shards: shards,
        services: edgeServices(
            configuration, context,
            EdgeServicesParts(
                backend: backend, hub: hub, presence: presence, control: control, policy: policy, users: users,
                metrics: metrics, clock: clock, nodes: nodes, tokens: tokens)),
        logger: context.logger,
        onListening: { port in
            context.readiness.set("accepting", true)
            context.startup.tell(
                "listen", ListenAddress(host: configuration.listen.host, port: port).description)
        },
        // Load balancers stop sending clients here while the others are still told.
        onDraining: { context.readiness.set("accepting", false) })
    let calls = MicroService(
        name: "apus-gateway", version: context.version, description: "holds the sockets of clients", bus: context.bus,
        subjects: context.subjects, logger: context.logger)
    calls.rpc("gateway.info") { _ in
        [
            "node": .string(node), "version": .string(context.version),
            "connections": .integer(await shards.connectionCount),
        ]
    }
    return [
        FeedRunner(feed: feed, readiness: context.readiness),
        HistoryStreams(namespaces: namespaces, hub: hub, clock: clock, context: context),
        MicroServiceRunner(calls),
        HubRunner(hub: hub, clock: clock),
        CanaryRunner(canary: canary),
        PresenceRunner(presence: presence),
        ControlRunner(control: control),
        NodeRequestsRunner(nodes: nodes),
        FreedMemoryRunner(shards: shards),
        server,
    ] + (configuration.tls.map { [CertificateRenewal(context: $0, logger: context.logger)] } ?? [])
}

/// - Parameter count: 0 is one for every core.
private func makeReactors(_ count: Int) throws -> [Reactor] {
    let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)
    return try (0..<(count == 0 ? cores : count)).map { try Reactor(name: "apus-loop-\($0)") }
}

/// Lets this process open as many files as it may: each client is one, and the usual soft limit is 1024.
private func raiseFileLimit() {
    let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(files, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(files, &limit)
}

private func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

private func edgeConfiguration(
    _ configuration: GatewayConfiguration, _ context: ServiceContext
) -> EdgeConfiguration {
    // The last to be told must have time to go.
    let patience = max(.zero, context.shutdownTimeout - .seconds(4))
    return EdgeConfiguration(
        host: configuration.listen.host, port: configuration.listen.port, tls: configuration.tls,
        origins: OriginPolicy(configuration.origins), limits: configuration.limits,
        pingInterval: configuration.pingInterval, offersEcho: configuration.offersEcho,
        compressesMessages: configuration.compressesMessages, serverAPIKey: configuration.serverAPIKey,
        upload: configuration.uploadDirectory.map {
            UploadConfiguration(directory: $0, maximumBytes: configuration.uploadBytes)
        },
        page: PageConfiguration(
            sampleFile: configuration.sampleFile, tables: configuration.pageTables,
            database: configuration.pageDatabase),
        drain: DrainPolicy(
            duration: min(configuration.drainDuration, patience), perSecond: configuration.drainRate))
}

/// What ``edgeServices(_:_:_:)`` joins.
private struct EdgeServicesParts {
    var backend: ChannelBackend
    var hub: Hub
    var presence: PresenceService
    var control: ControlService
    var policy: ChannelPolicy
    var users: UserRegistry
    var metrics: GatewayMetrics
    var clock: GatewayClock
    var nodes: NodeRequests
    var tokens: TokenChecks
}

private func edgeServices(
    _ configuration: GatewayConfiguration, _ context: ServiceContext, _ parts: EdgeServicesParts
) -> EdgeServices {
    let tokens = parts.tokens
    var issueToken: (@Sendable (String, [String], Timestamp) -> String)?
    if let secret = configuration.tokenSecret {
        let issuer = TokenIssuer(secret: secret)
        issueToken = { user, roles, expiry in issuer.issue(user: user, roles: roles, expiresAt: expiry) }
    }
    let bus = context.bus
    let subjects = context.subjects
    return EdgeServices(
        backend: parts.backend, hub: parts.hub, presence: parts.presence, control: parts.control,
        policy: parts.policy, users: parts.users, metrics: parts.metrics, clock: parts.clock,
        node: parts.nodes.node, nodes: parts.nodes, version: context.version,
        allowsAnonymous: configuration.allowsAnonymous,
        verify: { token, now throws(IdentityError) in try tokens.identity(of: token, now: now) },
        issueToken: issueToken,
        appendEvent: { event, isRepeatable in
            var message = BusMessage(subject: subjects.event(event.type), payload: event.data)
            message.headers.describe(event)
            if isRepeatable { message.headers[HeaderName.messageID] = event.id }
            _ = try await bus.append(message)
        })
}
