/// The shards that want a channel: mostly one, and never many more than there are cores.
struct ReceiverList: Sequence, Sendable {
    private var first: (any ChannelReceiver)?
    private var others: [any ChannelReceiver] = []

    var isEmpty: Bool { first == nil }

    /// Adds a shard unless it is there.
    mutating func insert(_ shard: any ChannelReceiver) {
        if first == nil {
            first = shard
        } else if first !== shard, !others.contains(where: { $0 === shard }) {
            others.append(shard)
        }
    }

    mutating func remove(_ shard: any ChannelReceiver) {
        if first === shard {
            first = others.popLast()
        } else {
            others.removeAll { $0 === shard }
        }
        others.giveBackRoom()
    }

    func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }

    struct Iterator: IteratorProtocol {
        fileprivate var first: (any ChannelReceiver)?
        fileprivate var others: IndexingIterator<[any ChannelReceiver]>

        mutating func next() -> (any ChannelReceiver)? { first.take() ?? others.next() }
    }
}
