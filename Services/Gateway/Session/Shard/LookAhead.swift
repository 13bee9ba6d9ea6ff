internal import Prefetch

/// Has what the next messages and subscribers need fetched while the present ones are served: see ``Prefetch``.
///
/// From a channel to the socket of its subscriber it is four references. The further ahead a message is, the nearer to the
/// channel is what is fetched for it, so that each step finds in the cache what the one before has had fetched.
enum LookAhead {
    /// How far ahead it looks.
    static let distance = 12

    /// What the messages after the one at `index` need. That may be negative: a batch begins before its first.
    static func messages(_ items: [ShardInbox.Item], from index: Int) {
        items.withUnsafeBufferPointer { items in
            func isThere(_ index: Int) -> Bool { items.indices.contains(index) }
            // Nothing is copied out of these objects, for that would wait for their reference counts.
            if isThere(index + distance) { Prefetch.object(items[index + distance].channel, lines: 2) }
            if isThere(index + 9), let group = items[index + 9].channel.groups.head { Prefetch.object(group) }
            if isThere(index + 6), let subscription = items[index + 6].channel.groups.head?.members.first {
                Prefetch.object(subscription, lines: 2)
            }
            if isThere(index + 4), let connection = items[index + 4].channel.groups.head?.members.first?.connection {
                Prefetch.object(connection)
            }
            if isThere(index + 2),
                let transport = items[index + 2].channel.groups.head?.members.first?.connection.transport
            {
                Prefetch.object(transport, lines: 2)
            }
        }
    }

    static func subscriptions(_ subscriptions: [Subscription], from index: Int) {
        subscriptions.withUnsafeBufferPointer { subscriptions in
            if index + 9 < subscriptions.count { Prefetch.object(subscriptions[index + 9], lines: 2) }
            if index + 6 < subscriptions.count { Prefetch.object(subscriptions[index + 6].connection) }
            if index + 3 < subscriptions.count {
                Prefetch.object(subscriptions[index + 3].connection.transport, lines: 2)
            }
        }
    }

    static func connections(_ connections: [Connection], from index: Int) {
        connections.withUnsafeBufferPointer { connections in
            if index + 6 < connections.count { Prefetch.object(connections[index + 6]) }
            if index + 3 < connections.count { Prefetch.object(connections[index + 3].transport, lines: 2) }
        }
    }
}
