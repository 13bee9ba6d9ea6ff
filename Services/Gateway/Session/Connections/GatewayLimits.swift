/// What one client may use (`gateway.limits`); nil is no limit.
package struct GatewayLimits: Sendable, Equatable {
    /// Commands a connection may send each second, with a burst of twice that.
    package var connectionMessagesPerSecond: Int?
    /// Commands all connections of a user may send each minute, through one gateway.
    package var userMessagesPerMinute: Int?
    /// Open connections of a user to one gateway.
    package var connectionsPerUser: Int?
    package var channelsPerConnection: Int?
    /// The largest frame that a client may send.
    package var messageBytes: Int
    /// How much may wait for a client that reads slowly.
    package var outboundBytes: Int
    /// How long a connection may take to finish its handshake and to authenticate.
    package var connectTimeout: Duration
    /// Commands of a connection that may be under way at once.
    package var commandsInFlight: Int

    package init(
        connectionMessagesPerSecond: Int? = 50, userMessagesPerMinute: Int? = 1000, connectionsPerUser: Int? = 100,
        channelsPerConnection: Int? = 128, messageBytes: Int = 65_536, outboundBytes: Int = 1_048_576,
        connectTimeout: Duration = .seconds(10), commandsInFlight: Int = 128
    ) {
        self.connectionMessagesPerSecond = connectionMessagesPerSecond
        self.userMessagesPerMinute = userMessagesPerMinute
        self.connectionsPerUser = connectionsPerUser
        self.channelsPerConnection = channelsPerConnection
        self.messageBytes = messageBytes
        self.outboundBytes = outboundBytes
        self.connectTimeout = connectTimeout
        self.commandsInFlight = commandsInFlight
    }
}
