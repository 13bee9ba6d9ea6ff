internal import Events
package import GatewayWire
internal import Identity
internal import Logging

/// Identifies a connection within its shard.
package struct ConnectionID: Sendable, Hashable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}

/// One client's connection: what it is (the session), what it speaks (the codec) and where its bytes go.
///
/// Belongs to its shard and never leaves its executor.
package final class Connection {
    package let id: ConnectionID
    package let protocolID: WireProtocolID
    var session: Session
    var codec: any WireProtocol
    let transport: any Transport
    var subscriptions: [ChannelName: Subscription] = [:]
    /// The positions of all its channels, for protocols that write them with each message.
    var cursor: ChannelCursor?
    /// Counted with the user registry.
    var countedUser: String?
    /// Whether anything came from the client since the last ping.
    var isHeard = true
    var isDirty = false
    var isClosed = false
    /// Of each channel, the client's last publication that is under way, and how many are.
    var publishing: [ChannelName: (last: Task<Void, Never>, count: Int)] = [:]
    /// Where it stands in a trace, as its handshake or its connect said.
    var trace: TraceContext?
    var tasks: [UInt64: Task<Void, Never>] = [:]

    init(
        id: ConnectionID, protocolID: WireProtocolID, codec: any WireProtocol, session: Session,
        transport: any Transport
    ) {
        self.id = id
        self.protocolID = protocolID
        self.codec = codec
        self.session = session
        self.transport = transport
    }
}

extension Connection {
    /// What log lines about it carry.
    var logMetadata: Logger.Metadata {
        [
            "connection.client": "\(session.client)", "connection.user": "\(session.identity.user ?? "")",
            "connection.protocol": "\(protocolID.rawValue)",
        ]
    }
}

/// A connection's place on a channel.
///
/// Belongs to its shard and never leaves its executor.
final class Subscription {
    unowned let connection: Connection
    let channel: ShardChannel
    /// Tells a join that is under way from an earlier one of the same connection and channel.
    let joinID: UInt64
    /// Messages that came while the join was under way; nil once it follows.
    var held: [ChannelMessage]? = []
    /// The client has everything up to here.
    var startAfter: UInt64 = 0
    /// Whether the client asked to be told who comes and leaves.
    var wantsJoinLeave = false
    /// Whether the client will be back on the channel in a moment if the subscription ends now.
    var lingers = false
    /// Of the channel's lives, the one that it follows: see ``HubChannel``.
    var generation: UInt32 = 0
    /// The newest life of the channel that began while the join was under way.
    var interruptedBy: UInt32 = 0
    /// Where it stands in its group's members.
    var index = 0
    weak var group: SubscriberGroup?
    var backlog: Backlog?
    /// Whether a hook was asked about it and may have admitted it: it is told when the subscription ends.
    var isKnownToHook: Bool

    init(connection: Connection, channel: ShardChannel, joinID: UInt64, isKnownToHook: Bool) {
        self.connection = connection
        self.channel = channel
        self.joinID = joinID
        self.isKnownToHook = isKnownToHook
    }
}
