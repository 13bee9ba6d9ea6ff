internal import GatewayWire

/// Messages of one channel that came one after the other, mostly one, as one group of its subscribers gets them.
///
/// Encoded once; belongs to its shard and lives for one fan-out.
struct Burst {
    private let firstMessage: ChannelMessage
    private let others: [ChannelMessage]
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

    init(_ message: ChannelMessage, _ others: [ChannelMessage], for group: SubscriberGroup) {
        firstMessage = message
        self.others = others
        frame = SharedFrame(group.encode(message), others.isEmpty ? [] : others.map(group.encode))
        first = message.sequence
        let life = message.generation
        let isForAll = message.excludedClient == nil
        generation =
            isForAll && others.allSatisfy { $0.excludedClient == nil && $0.generation == life } ? life : nil
    }

    var count: Int { others.count + 1 }

    subscript(index: Int) -> ChannelMessage { index == 0 ? firstMessage : others[index - 1] }

    /// One of the messages by itself.
    mutating func single(_ index: Int) -> SharedFrame {
        if others.isEmpty { return frame }
        if singles.isEmpty { frame.forEachMessage { singles.append(SharedFrame($0)) } }
        return singles[index]
    }

    /// Whether nothing but a lack of room keeps the subscriber from getting all of them as they are.
    func isWhole(for subscription: Subscription) -> Bool {
        generation.map { subscription.takesAll(from: first, ofLife: $0) } ?? false
    }

    /// Of one message's encoded form.
    var averageBytes: Int { frame.count / count }
}
