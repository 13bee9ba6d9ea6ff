internal import Events
internal import GatewayWire

/// Who came and left, to those who asked to be told.
extension Shard {
    /// So many changes stand in one frame at the most: clients bound what they take.
    static let changesPerFrame = 256

    /// Encodes the changes once for each group and queues the same bytes for those of its members that want them, so that
    /// a crowd that comes at once costs each client a few frames and not one for each member of the crowd.
    func tell(_ changes: [PresenceChange], _ channel: ShardChannel) {
        for group in channel.groups where group.members.contains(where: { $0.isToldChanges }) {
            for start in stride(from: 0, to: changes.count, by: Shard.changesPerFrame) {
                let part = Array(changes[start..<min(start + Shard.changesPerFrame, changes.count)])
                guard let bytes = group.protocolID.encodePresence(part, label: group.label) else { break }
                let frame = SharedFrame(bytes)
                var count = 0
                for subscription in group.members where subscription.isToldChanges {
                    if tell(frame, subscription) { count += 1 }
                }
                environment.metrics.sent(.presence, count: count, bytes: count * bytes.count)
            }
        }
    }

    /// - Returns: whether it was queued for the client.
    private func tell(_ frame: SharedFrame, _ subscription: Subscription) -> Bool {
        let connection = subscription.connection
        guard !connection.isClosed else { return false }
        // Whoever is left out some changes can no longer know who is there, whatever the policy for messages is: it comes
        // back and asks.
        guard hasRoom(connection) else {
            perform(connection.session.close(.slow), connection)
            return false
        }
        connection.transport.write(frame)
        markDirty(connection)
        return true
    }
}
