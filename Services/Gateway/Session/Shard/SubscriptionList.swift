/// Subscriptions, each of which knows its place. The only one, as most channels have it, needs no memory here.
struct SubscriptionList: Sequence {
    private(set) var first: Subscription?
    private var others: [Subscription] = []

    /// The only one, of most.
    var only: Subscription? { others.isEmpty ? first : nil }
    var isEmpty: Bool { first == nil }
    var count: Int { first == nil ? 0 : others.count + 1 }

    mutating func append(_ subscription: Subscription) {
        if first == nil { first = subscription } else { others.append(subscription) }
    }

    /// The last one takes the place of the one that goes: leaving costs the same among many as among few. What a crowd
    /// needed is given back.
    mutating func remove(_ subscription: Subscription) {
        guard let last = others.popLast() else {
            first = nil
            return
        }
        if last !== subscription {
            let index = Int(subscription.index)
            if index == 0 { first = last } else { others[index - 1] = last }
            last.index = subscription.index
        }
        others.giveBackRoom()
    }

    func makeIterator() -> Iterator { Iterator(first: first, others: others) }

    /// Has what the next ones refer to fetched meanwhile.
    struct Iterator: IteratorProtocol {
        fileprivate var first: Subscription?
        fileprivate let others: [Subscription]
        private var index = 0

        fileprivate init(first: Subscription?, others: [Subscription]) {
            self.first = first
            self.others = others
        }

        mutating func next() -> Subscription? {
            if let first = first.take() { return first }
            guard index < others.count else { return nil }
            defer { index += 1 }
            LookAhead.subscriptions(others, from: index)
            return others[index]
        }
    }
}
