internal import DequeModule
internal import Events

/// A connection's place on a channel.
///
/// Belongs to its shard and never leaves its executor.
final class Subscription: OfChannel {
    // What every message needs comes first, so that it lies together.
    /// Each holds the other until the subscription ends, which the end of the connection sees to.
    let connection: Connection
    @exclusivity(unchecked) var backlog: Backlog?
    /// The client has everything up to here.
    var startAfter: UInt64 = 0
    /// Of the channel's lives, the one that it follows: see ``HubChannel``.
    var generation: UInt32 = 0
    /// Where it stands among its group's members, or among those whose join is under way.
    var index: UInt32 = 0
    let channel: ShardChannel
    @exclusivity(unchecked) private var place: Place?
    /// Whether the client asked to be told who comes and leaves, and the namespace offers it.
    var isToldChanges = false
    /// Whether the client will be back on the channel in a moment if the subscription ends now.
    var lingers = false
    /// Whether a hook was asked about it and may have admitted it: it is told when the subscription ends.
    var isKnownToHook: Bool
    /// Tells a join from an earlier one of the same connection and channel.
    let joinID: UInt32

    /// Whether it is new, its join is under way or it follows the channel.
    private enum Place {
        case joining(PendingJoin)
        case following(SubscriberGroup)
    }

    init(connection: Connection, channel: ShardChannel, joinID: UInt32, isKnownToHook: Bool) {
        self.connection = connection
        self.channel = channel
        self.joinID = joinID
        self.isKnownToHook = isKnownToHook
    }

    var channelName: ChannelName { channel.name }

    /// Those who get the same bytes; nil before it follows the channel.
    var group: SubscriberGroup? { if case .following(let group)? = place { group } else { nil } }

    /// What came while its join was under way; nil before and after.
    var join: PendingJoin? { if case .joining(let join)? = place { join } else { nil } }

    func beginJoin(at index: Int, recoverFrom: StreamPosition?) {
        place = .joining(PendingJoin(recoverFrom: recoverFrom))
        self.index = UInt32(index)
    }

    func enter(_ group: SubscriberGroup, at index: Int) {
        place = .following(group)
        self.index = UInt32(index)
    }

    func end() { place = nil }

    /// Whether messages from `first` on, of one life of the channel, are for it as they are, if there is room for them.
    func takesAll(from first: UInt64, ofLife life: UInt32) -> Bool {
        // Positions are written between the messages for those who carry a cursor.
        life == generation && (first == 0 || first > startAfter) && backlog == nil
            && connection.extras?.cursor == nil && !connection.isClosed
    }
}

/// What comes on a channel while somebody's join is under way.
final class PendingJoin {
    /// The newest messages.
    private(set) var held: Deque<ChannelMessage> = []
    /// Messages of the channel after this sequence may be missing in `held`.
    private var heldAfter: UInt64 = 0
    /// Where the client was, if it wants what it has missed.
    let recoverFrom: StreamPosition?
    /// Whether the join goes on when the hub follows the channel.
    var awaitsStart = false
    /// Messages of the channel were more than the shard could take.
    var isOutrun = false
    /// The newest life of the channel that began meanwhile.
    var interruptedBy: UInt32 = 0

    /// How many messages are held for a join.
    static let maximumHeld = 4096

    init(recoverFrom: StreamPosition?) { self.recoverFrom = recoverFrom }

    /// Keeps a message until the join is done. The oldest ones go when there are too many: most often they are part of
    /// what the join finds, which ``isWhole(from:)`` tells.
    func hold(_ message: ChannelMessage) {
        held.append(message)
        if held.count > PendingJoin.maximumHeld, let oldest = held.popFirst() { heldAfter = oldest.sequence }
    }

    /// Whether every message after `offset` that came during the join is held.
    func isWhole(from offset: UInt64) -> Bool { !isOutrun && heldAfter <= offset }
}
