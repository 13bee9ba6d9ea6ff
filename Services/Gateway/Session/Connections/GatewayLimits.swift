internal import GatewayWire

/// What clients may use (`gateway.limits`); nil is no limit.
package struct GatewayLimits: Sendable, Equatable {
    /// Open connections to one gateway, those that have not authenticated among them.
    package var connections: Int?
    /// Commands a connection may send each second, with a burst of twice that.
    package var connectionMessagesPerSecond: Int?
    /// Commands all connections of a user may send each minute, through one gateway.
    package var userMessagesPerMinute: Int?
    /// Open connections of a user to one gateway.
    package var connectionsPerUser: Int?
    package var channelsPerConnection: Int?
    /// The longest name of a channel, without its namespace; 200 at the most.
    package var channelNameBytes: Int
    /// The largest frame that a client may send.
    package var messageBytes: Int
    /// How much may wait for a client that reads slowly.
    package var outboundBytes: Int
    /// How long a connection may take to finish its handshake and to authenticate.
    package var connectTimeout: Duration
    /// How long a connection without a subscription may send nothing but answers to pings.
    package var idleTimeout: Duration?
    /// Commands of a connection that may be under way at once.
    package var commandsInFlight: Int

    package init(
        connections: Int? = 100_000, connectionMessagesPerSecond: Int? = 50, userMessagesPerMinute: Int? = 1000,
        connectionsPerUser: Int? = 100,
        channelsPerConnection: Int? = 128, channelNameBytes: Int = 200, messageBytes: Int = 65_536,
        outboundBytes: Int = 1_048_576,
        connectTimeout: Duration = .seconds(10), idleTimeout: Duration? = .seconds(3600), commandsInFlight: Int = 128
    ) {
        self.connections = connections
        self.connectionMessagesPerSecond = connectionMessagesPerSecond
        self.userMessagesPerMinute = userMessagesPerMinute
        self.connectionsPerUser = connectionsPerUser
        self.channelsPerConnection = channelsPerConnection
        self.channelNameBytes = channelNameBytes
        self.messageBytes = messageBytes
        self.outboundBytes = outboundBytes
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.commandsInFlight = commandsInFlight
    }
}

/// A limit that somebody ran into, as `apus_gateway_limited_total` names it: most are the last part of their settings' keys.
package enum GatewayLimit: String, Sendable, CaseIterable {
    case connections
    case connectionsPerUser = "connections_per_user"
    case channelsPerConnection = "channels_per_connection"
    case channelNameBytes = "channel_name_bytes"
    case connectionMessagesPerSecond = "connection_messages_per_second"
    case userMessagesPerMinute = "user_messages_per_minute"
    /// Too many commands of a connection under way at once.
    case commandsInFlight = "commands_in_flight"
    case messageBytes = "message_bytes"
    case outboundBytes = "outbound_bytes"
    case connectTimeout = "connect_timeout"
    case idleTimeout = "idle_timeout"
    /// An HTTP request whose body came too slowly.
    case requestBody = "request_body"

    /// The limit behind a reason for closing a connection; nil if it is no limit's or was counted when it was refused.
    init?(_ disconnect: Disconnect) {
        switch disconnect {
        case .connectionLimit: self = .connectionsPerUser
        case .messageTooBig: self = .messageBytes
        case .slow: self = .outboundBytes
        case .stale: self = .connectTimeout
        case .idle: self = .idleTimeout
        default: return nil
        }
    }
}
