internal import Prefetch

/// Those who want a channel: mostly one, and never many more than there are cores.
struct ReceiverList: Sequence, Sendable {
    private var first: (any ChannelReceiver)?
    private var others: [any ChannelReceiver] = []

    var isEmpty: Bool { first == nil }

    /// Adds one unless it is there.
    mutating func insert(_ receiver: any ChannelReceiver) {
        if first == nil {
            first = receiver
        } else if first !== receiver, !others.contains(where: { $0 === receiver }) {
            others.append(receiver)
        }
    }

    mutating func remove(_ receiver: any ChannelReceiver) {
        if first === receiver {
            first = others.popLast()
        } else {
            others.removeAll { $0 === receiver }
        }
        others.giveBackRoom()
    }

    func deliver(_ delivery: ChannelDelivery) {
        first?.receive(delivery)
        if !others.isEmpty { for receiver in others { receiver.receive(delivery) } }
    }

    /// Has the first fetched, who gets a message in a moment.
    func fetch() {
        if let first { Prefetch.object(first, lines: 2) }
    }

    func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }

    struct Iterator: IteratorProtocol {
        fileprivate var first: (any ChannelReceiver)?
        fileprivate var others: IndexingIterator<[any ChannelReceiver]>

        mutating func next() -> (any ChannelReceiver)? { first.take() ?? others.next() }
    }
}
