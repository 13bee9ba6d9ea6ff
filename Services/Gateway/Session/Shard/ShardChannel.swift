internal import Events
internal import GatewayWire

/// A channel as one shard sees it: who is on it, in groups that get the same bytes.
///
/// What it holds belongs to the shard and is touched on its executor only; others just hand it over, and give what comes
/// for it to ``receive(_:)``. The hub has it from the first who wants the channel until the last has left; one who comes
/// later finds another.
final class ShardChannel: ChannelReceiver, @unchecked Sendable {
    /// Nil only where a test has no shard.
    private let shard: Shard?
    // Unchecked, as all that is only touched on the shard's executor and by nobody who calls back meanwhile.
    @exclusivity(unchecked) private(set) var groups = GroupList()
    /// Those whose join is under way.
    @exclusivity(unchecked) private(set) var joining = SubscriptionList()
    /// The copy of the name that all who are on the channel keep.
    let name: ChannelName
    let namespace: NamespaceTraits

    init(name: ChannelName, namespace: NamespaceTraits, shard: Shard?) {
        self.shard = shard
        self.name = name
        self.namespace = namespace
    }

    var isEmpty: Bool { joining.isEmpty && groups.isEmpty }

    func receive(_ delivery: ChannelDelivery) { shard?.receive(delivery, for: self) }

    /// The subscription's join takes a while: what comes meanwhile is held for it.
    func beginJoin(_ subscription: Subscription, recoverFrom: StreamPosition? = nil) {
        subscription.beginJoin(at: joining.count, recoverFrom: recoverFrom)
        joining.append(subscription)
    }

    /// Those whose join waits for the hub to follow the channel, which it does no longer then.
    func takeAwaitingStart() -> [Subscription] {
        let waiting = joining.filter { $0.join?.awaitsStart == true }
        for subscription in waiting { subscription.join?.awaitsStart = false }
        return waiting
    }

    func follow(_ subscription: Subscription, label: String) {
        if subscription.join != nil { endJoin(subscription) }
        let protocolID = subscription.connection.protocolID
        let group: SubscriberGroup
        if let existing = groups.first(where: { $0.protocolID == protocolID && $0.label == label }) {
            group = existing
        } else {
            group = SubscriberGroup(protocolID: protocolID, label: label)
            groups.append(group)
        }
        group.add(subscription)
    }

    func remove(_ subscription: Subscription) {
        if subscription.join != nil { endJoin(subscription) }
        guard let group = subscription.group else { return }
        group.remove(subscription)
        if group.members.isEmpty { groups.remove(group) }
    }

    private func endJoin(_ subscription: Subscription) {
        joining.remove(subscription)
        subscription.end()
    }
}

/// The subscribers of a channel that speak the same protocol and call the channel by the same name.
final class SubscriberGroup {
    let label: String
    @exclusivity(unchecked) private(set) var members = SubscriptionList()
    /// The next group of the channel.
    @exclusivity(unchecked) fileprivate var next: SubscriberGroup?
    let protocolID: WireProtocolID

    init(protocolID: WireProtocolID, label: String) {
        self.protocolID = protocolID
        self.label = label
    }

    /// A message as all of them get it.
    func encode(_ message: ChannelMessage) -> [UInt8] {
        protocolID.encodeBroadcast(message.publication, label: label)
    }

    func add(_ subscription: Subscription) {
        subscription.enter(self, at: members.count)
        members.append(subscription)
    }

    func remove(_ subscription: Subscription) {
        members.remove(subscription)
        subscription.end()
    }
}

/// The groups of a channel: nearly always one, so that each knows the next and no list is kept.
struct GroupList: Sequence, IteratorProtocol {
    private(set) var head: SubscriberGroup?

    var isEmpty: Bool { head == nil }

    mutating func next() -> SubscriberGroup? {
        defer { head = head?.next }
        return head
    }

    fileprivate mutating func append(_ group: SubscriberGroup) {
        group.next = head
        head = group
    }

    fileprivate mutating func remove(_ group: SubscriberGroup) {
        if head === group {
            head = group.next
        } else {
            first { $0.next === group }?.next = group.next
        }
        // It keeps its own next: somebody may be going through the list just now.
    }
}
