internal import GatewayWire

/// Messages of one channel that came one after the other, as one group of its subscribers gets them.
///
/// Encoded once; belongs to its shard and lives for one fan-out.
final class Burst {
    let messages: [ChannelMessage]
    /// All of them as one piece.
    let frame: SharedFrame
    /// Each by itself, for those who get only some.
    private var singles: [SharedFrame] = []
    private let first: UInt64
    /// The channel's life that all of them belong to; nil if they do not, or if somebody does not get one.
    private let generation: UInt32?

    /// What one holds at the most, in payload: enough that one write serves many messages, and not so much that a client
    /// that reads slowly is found out late.
    static let maximumBytes = 32_768

    init(_ messages: [ChannelMessage], for group: SubscriberGroup) {
        self.messages = messages
        frame = SharedFrame(
            messages.map { group.protocolID.encodeBroadcast($0.publication, label: group.label) })
        first = messages.first?.sequence ?? 0
        let life = messages.first?.generation
        generation = messages.allSatisfy { $0.excludedClient == nil && $0.generation == life } ? life : nil
    }

    /// One of the messages by itself.
    func single(_ index: Int) -> SharedFrame {
        if messages.count == 1 { return frame }
        if singles.isEmpty { singles = frame.messages.map { SharedFrame([$0]) } }
        return singles[index]
    }

    /// Whether nothing but a lack of room keeps the subscriber from getting all of them as they are.
    func isWhole(for subscription: Subscription) -> Bool {
        let connection = subscription.connection
        // Positions are written between the messages for those who carry a cursor.
        return generation == subscription.generation && (first == 0 || first > subscription.startAfter)
            && subscription.backlog == nil && connection.extras?.cursor == nil && !connection.isClosed
    }

    /// Of one message's encoded form.
    var averageBytes: Int { frame.count / max(1, messages.count) }
}
