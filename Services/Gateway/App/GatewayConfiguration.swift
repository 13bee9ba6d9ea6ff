internal import Events
internal import Foundation
internal import GatewayEdge
package import GatewaySession
package import ServiceKit
package import TLS

/// What the gateway can be told; `docs/configuration.md` is the reference.
package struct GatewayConfiguration: ServiceConfiguration {
    package var listen: ListenAddress
    /// With a certificate the gateway's socket is encrypted.
    package var tls: TLSContext?
    package var tokenSecret: String?
    /// The contents of the JWKS file.
    package var keySet: [UInt8]?
    package var allowsAnonymous: Bool
    package var serverAPIKey: String?
    package var origins: [String]
    package var namespaces: [Namespace]
    package var limits: GatewayLimits
    package var pingInterval: Duration
    package var presenceLease: Duration
    package var presenceLinger: Duration
    package var drainDuration: Duration
    package var drainRate: Int?
    package var callTimeout: Duration
    package var hookTimeout: Duration
    package var hookGrace: Duration
    package var tokenGrace: Duration
    package var rememberedTokens: Int
    package var offersEcho: Bool
    package var compressesMessages: Bool
    package var uploadDirectory: String?
    package var uploadBytes: Int
    package var sampleFile: String?
    package var pageTables: [String]
    /// The SQLite file that holds them, as the page's reader would name it.
    package var pageDatabase: String?
    package var loops: Int
    package var feed: FeedChoice

    package static let definitions: [SettingDefinition] = [
        SettingDefinition("gateway.listen", .address, default: "127.0.0.1:8080", "where clients connect"),
        SettingDefinition(
            "gateway.tls.certificate", .string,
            "a PEM file with the certificate and those that vouch for it; clients must then use https and wss"),
        SettingDefinition("gateway.tls.key", .string, "a PEM file with the certificate's private key"),
        SettingDefinition("gateway.token.secret", .secret, "HMAC secret of tokens (HS256, HS384, HS512)"),
        SettingDefinition("gateway.token.jwks", .string, "a JWKS file with public keys of tokens (RSA, ECDSA, EdDSA)"),
        SettingDefinition(
            "gateway.token.grace", .duration, default: "5s",
            "how long a connection or a subscription outlives its token where the client can send a new one"),
        SettingDefinition(
            "gateway.token.remembered", .integer, default: "4096",
            "good tokens that are remembered, so that one that comes again is not checked from the start; 0 is none"),
        SettingDefinition(
            "gateway.anonymous", .boolean, default: "false", "whether clients may connect without a token"),
        SettingDefinition("gateway.api.key", .secret, "key of the server HTTP API, which is off without one"),
        SettingDefinition(
            "gateway.origins", .list, "browser origins let in, comma-separated, * for all; default: the same host"),
        SettingDefinition("gateway.namespaces", .structure, "classes of channels; see docs/configuration.md"),
        SettingDefinition(
            "gateway.limits.connections", .integer, default: "100000",
            "open connections to this gateway; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.connection_messages_per_second", .integer, default: "50",
            "commands of a connection each second, with a burst of twice that; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.user_messages_per_minute", .integer, default: "1000",
            "commands, calls and polls of a user each minute through this gateway; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.connections_per_user", .integer, default: "100",
            "open connections of a user to this gateway; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.channels_per_connection", .integer, default: "128",
            "channels that a connection may be on; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.channel_name_bytes", .integer, default: "200",
            "the longest name of a channel, without its namespace; 1 to 200"),
        SettingDefinition(
            "gateway.limits.message_bytes", .integer, default: "65536",
            "the largest frame a client may send; at least 128"),
        SettingDefinition(
            "gateway.limits.outbound_bytes", .integer, default: "1048576",
            "how much may wait for a client that reads slowly; 0 switches the limit off"),
        SettingDefinition(
            "gateway.limits.connect_timeout", .duration, default: "10s",
            "how long a client may take for the handshake and to authenticate"),
        SettingDefinition(
            "gateway.limits.idle_timeout", .duration, default: "1h",
            "how long a connection without a subscription may send nothing but pongs; 0 switches the limit off"),
        SettingDefinition(
            "gateway.ping_interval", .duration, default: "25s",
            "how often a client is pinged; one that is silent for two intervals is gone"),
        SettingDefinition(
            "gateway.presence.lease", .duration, default: "10s",
            "how long another gateway may be silent before its clients are taken for gone; the same on all gateways"),
        SettingDefinition(
            "gateway.presence.linger", .duration, default: "4s",
            "how long a client whose connection ended stays present, so that one that comes back shows no leave; 0s for none"
        ),
        SettingDefinition(
            "gateway.drain.duration", .duration, default: "15s",
            "over how long clients are told to come back elsewhere when the gateway stops, at the most"),
        SettingDefinition(
            "gateway.drain.rate", .integer, default: "500",
            "how many clients are told each second, when that takes less; 0 takes the whole duration"),
        SettingDefinition(
            "gateway.call_timeout", .duration, default: "10s", "how long a service may take to answer a client's call"),
        SettingDefinition(
            "gateway.hook_timeout", .duration, default: "5s", "how long a service may take to answer a hook"),
        SettingDefinition(
            "gateway.hook_grace", .duration, default: "30s",
            "how long a subscription stays when its time is over and the hook that gave it cannot be asked"),
        SettingDefinition(
            "gateway.echo", .boolean, default: "false", "offer /echo, a WebSocket for conformance suites"),
        SettingDefinition(
            "gateway.websocket.compression", .boolean, default: "false",
            "compress messages of WebSockets whose clients offer it (permessage-deflate)"),
        SettingDefinition(
            "gateway.upload.directory", .string, "where POST /upload stores files; without it there are no uploads"),
        SettingDefinition(
            "gateway.upload.bytes", .integer, default: "104857600", "the largest file that may be uploaded"),
        SettingDefinition("gateway.page.sample", .string, "a CSV file that the demonstration page offers as a sample"),
        SettingDefinition("gateway.page.tables", .list, "tables that the demonstration page shows, as main.products"),
        SettingDefinition(
            "gateway.page.database", .string, "their SQLite file, for the command that the demonstration page shows"),
        SettingDefinition(
            "gateway.loops", .integer, default: "0", "event loops, one thread each; 0 is one for every core"),
        SettingDefinition(
            "gateway.feed", .string, default: "auto",
            "by which connection channel messages come: auto (one of their own, unless NATS requires TLS) or libnats"),
    ]

    package init(from settings: inout SettingsReader) {
        listen = settings.address("gateway.listen") ?? ListenAddress(host: "127.0.0.1", port: 8080)
        tokenSecret = settings.string("gateway.token.secret")
        allowsAnonymous = settings.boolean("gateway.anonymous")
        serverAPIKey = settings.string("gateway.api.key")
        origins = settings.list("gateway.origins")
        pingInterval = settings.duration("gateway.ping_interval") ?? .seconds(25)
        presenceLease = settings.duration("gateway.presence.lease") ?? PresenceTable.standardLease
        presenceLinger = settings.duration("gateway.presence.linger") ?? ShownPresence.standardLinger
        drainDuration = settings.duration("gateway.drain.duration") ?? DrainPolicy().duration
        drainRate = (settings.integer("gateway.drain.rate") ?? 0).nonZero
        callTimeout = settings.duration("gateway.call_timeout") ?? .seconds(10)
        hookTimeout = settings.duration("gateway.hook_timeout") ?? .seconds(5)
        hookGrace = settings.duration("gateway.hook_grace") ?? .seconds(30)
        tokenGrace = settings.duration("gateway.token.grace") ?? .seconds(5)
        rememberedTokens = settings.integer("gateway.token.remembered") ?? 4096
        offersEcho = settings.boolean("gateway.echo")
        compressesMessages = settings.boolean("gateway.websocket.compression")
        uploadDirectory = settings.string("gateway.upload.directory")
        uploadBytes = settings.integer("gateway.upload.bytes") ?? 104_857_600
        sampleFile = settings.string("gateway.page.sample")
        pageTables = settings.list("gateway.page.tables")
        pageDatabase = settings.string("gateway.page.database")
        loops = settings.integer("gateway.loops") ?? 0
        feed = settings.choice("gateway.feed") ?? .auto
        limits = GatewayConfiguration.limits(&settings)
        tls = GatewayConfiguration.tls(&settings)
        var parser = NamespaceParser()
        namespaces = settings.structure("gateway.namespaces").map { parser.parse($0) } ?? []
        for (key, problem) in parser.problems { settings.report(key, problem) }
        if let path = settings.string("gateway.token.jwks") {
            keySet = FileManager.default.contents(atPath: path).map(Array.init)
            if keySet == nil { settings.report("gateway.token.jwks", "cannot read \(path)") }
        }
        if tokenSecret == nil, settings.string("gateway.token.jwks") == nil, !allowsAnonymous {
            settings.report(
                "gateway.token.secret",
                "nobody could connect: set a secret, gateway.token.jwks or gateway.anonymous: true")
        }
        if presenceLease < .seconds(1) { settings.report("gateway.presence.lease", "at least 1s") }
        if presenceLinger > .seconds(3600) { settings.report("gateway.presence.linger", "at most 1h") }
        if let drainRate, drainRate < 0 { settings.report("gateway.drain.rate", "a rate is positive, or 0 for none") }
        if hookGrace < .zero { settings.report("gateway.hook_grace", "0s or more") }
        if tokenGrace < .zero { settings.report("gateway.token.grace", "0s or more") }
        if !(0...1_048_576).contains(rememberedTokens) {
            settings.report("gateway.token.remembered", "from 0 to 1048576")
        }
        if pingInterval < .seconds(1) { settings.report("gateway.ping_interval", "at least 1s") }
        if !(0...1024).contains(loops) { settings.report("gateway.loops", "from 0 to 1024") }
        if uploadBytes < 1 { settings.report("gateway.upload.bytes", "at least 1") }
    }

    private static func tls(_ settings: inout SettingsReader) -> TLSContext? {
        let certificate = settings.string("gateway.tls.certificate")
        let key = settings.string("gateway.tls.key")
        switch (certificate, key) {
        case (nil, nil): return nil
        case (_?, nil): settings.report("gateway.tls.key", "missing: a certificate needs its key")
        case (nil, _?): settings.report("gateway.tls.certificate", "missing: a key is nothing without its certificate")
        case (let certificate?, let key?):
            do throws(TLSFileError) {
                return try TLSContext(certificateFile: certificate, keyFile: key)
            } catch {
                settings.report("gateway.tls.\(error.file == .key ? "key" : "certificate")", error.description)
            }
        }
        return nil
    }

    private static func limits(_ settings: inout SettingsReader) -> GatewayLimits {
        func limit(_ name: String) -> Int? {
            let key = "gateway.limits.\(name)"
            guard let value = settings.integer(key) else { return nil }
            if value < 0 { settings.report(key, "a limit is positive, or 0 for none") }
            return value > 0 ? value : nil
        }
        var limits = GatewayLimits()
        limits.connections = limit("connections")
        limits.connectionMessagesPerSecond = limit("connection_messages_per_second")
        limits.userMessagesPerMinute = limit("user_messages_per_minute")
        limits.connectionsPerUser = limit("connections_per_user")
        limits.channelsPerConnection = limit("channels_per_connection")
        limits.outboundBytes = limit("outbound_bytes") ?? 0
        limits.channelNameBytes = settings.integer("gateway.limits.channel_name_bytes") ?? limits.channelNameBytes
        if !(1...ChannelName.maximumNameLength).contains(limits.channelNameBytes) {
            settings.report("gateway.limits.channel_name_bytes", "from 1 to \(ChannelName.maximumNameLength)")
        }
        limits.messageBytes = settings.integer("gateway.limits.message_bytes") ?? limits.messageBytes
        if !(128...67_108_864).contains(limits.messageBytes) {
            settings.report("gateway.limits.message_bytes", "from 128 to 67108864")
        }
        limits.connectTimeout = settings.duration("gateway.limits.connect_timeout") ?? limits.connectTimeout
        if limits.connectTimeout < .seconds(1) { settings.report("gateway.limits.connect_timeout", "at least 1s") }
        limits.idleTimeout = settings.duration("gateway.limits.idle_timeout").flatMap { $0 > .zero ? $0 : nil }
        return limits
    }
}

extension Int {
    fileprivate var nonZero: Int? { self == 0 ? nil : self }
}
