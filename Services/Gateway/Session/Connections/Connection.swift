internal import DequeModule
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
    /// The channels, as the client calls them, of which messages that it has not seen are gone: it could not go on there.
    var lostChannels: [String] = []
    /// How much more than the bound may wait for the client: the size of an answer that was larger than it, until the client
    /// has taken that. Closing it before would have it ask for the same again.
    var allowance = 0
    /// When the client last sent anything but a pong, or left its last channel.
    var lastCommandAt: Moment
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

    /// Whether others see it: a poll comes and goes, and is nobody's presence.
    var isPresent: Bool { protocolID != .longPolling }

    init(
        id: ConnectionID, protocolID: WireProtocolID, codec: any WireProtocol, session: Session,
        transport: any Transport, now: Moment
    ) {
        self.id = id
        self.protocolID = protocolID
        self.codec = codec
        self.session = session
        self.transport = transport
        lastCommandAt = now
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
    /// Messages that came while the join was under way, the newest of them; nil once it follows.
    private(set) var held: Deque<ChannelMessage>? = []
    /// Messages of the channel after this sequence may be missing in `held`.
    private var heldAfter: UInt64 = 0
    /// Messages of the channel were more than the shard could take while the join was under way.
    var isOutrun = false
    /// The client has everything up to here.
    var startAfter: UInt64 = 0
    /// Whether the client asked to be told who comes and leaves, and the namespace offers it.
    var isToldChanges = false
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

    /// How many messages are held for a join.
    static let maximumHeld = 4096

    init(connection: Connection, channel: ShardChannel, joinID: UInt64, isKnownToHook: Bool) {
        self.connection = connection
        self.channel = channel
        self.joinID = joinID
        self.isKnownToHook = isKnownToHook
    }

    /// Keeps a message until the join is done. The oldest ones go when there are too many: most often they are part of
    /// what the join finds, which ``isWhole(from:)`` tells.
    func hold(_ message: ChannelMessage) {
        guard held != nil else { return }
        held?.append(message)
        if let count = held?.count, count > Subscription.maximumHeld, let oldest = held?.popFirst() {
            heldAfter = oldest.sequence
        }
    }

    /// Whether every message after `offset` that came during the join is held.
    func isWhole(from offset: UInt64) -> Bool { !isOutrun && heldAfter <= offset }

    /// The join is done: what was held is the caller's to deliver.
    func release() -> Deque<ChannelMessage>? {
        defer { held = nil }
        return held
    }
}
