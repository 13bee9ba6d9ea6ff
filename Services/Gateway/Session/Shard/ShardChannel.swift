internal import Events
internal import GatewayWire

/// A channel as one shard sees it: who is on it, in groups that get the same bytes.
final class ShardChannel {
    let name: ChannelName
    let namespace: Namespace
    private(set) var groups: [SubscriberGroup] = []
    /// Those whose join is under way.
    var joining: [Subscription] = []

    init(name: ChannelName, namespace: Namespace) {
        self.name = name
        self.namespace = namespace
    }

    var isEmpty: Bool { joining.isEmpty && groups.isEmpty }

    func follow(_ subscription: Subscription, label: String) {
        joining.removeAll { $0 === subscription }
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
        guard let group = subscription.group else {
            joining.removeAll { $0 === subscription }
            return
        }
        group.remove(subscription)
        if group.members.isEmpty { groups.removeAll { $0 === group } }
    }
}

/// The subscribers of a channel that speak the same protocol and call the channel by the same name.
final class SubscriberGroup {
    let protocolID: WireProtocolID
    let label: String
    private(set) var members: [Subscription] = []

    init(protocolID: WireProtocolID, label: String) {
        self.protocolID = protocolID
        self.label = label
    }

    func add(_ subscription: Subscription) {
        subscription.index = members.count
        subscription.group = self
        members.append(subscription)
    }

    /// The last one takes the place of the one that goes: leaving costs the same in a large group as in a small one.
    func remove(_ subscription: Subscription) {
        let index = subscription.index
        let last = members.removeLast()
        if last !== subscription {
            members[index] = last
            last.index = index
        }
        subscription.group = nil
    }
}
