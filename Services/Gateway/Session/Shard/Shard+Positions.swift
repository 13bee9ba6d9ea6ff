internal import Events
package import GatewayWire

/// Clients that carry the positions of all their channels themselves: event streams and polls.
extension Shard {
    /// Everything that the address asked for is there: the client is told where it begins, and what it missed.
    func opened(_ connection: Connection, _ channels: [OpenedChannel]) {
        connection.transport.start()
        guard var start = connection.extras?.cursor else { return }
        for channel in channels {
            start[channel.label] = channel.result.position
            // What was recovered follows as messages; the cursor begins where they do.
            guard let first = channel.result.publications.first?.offset else { continue }
            start[channel.label]?.offset = first - 1
        }
        connection.change { extras in
            extras.lostChannels = channels.filter { $0.result.recovery == .failed }.map(\.label)
            extras.cursor = start
        }
        if connection.protocolID == .serverSentEvents {
            connection.transport.write(ServerSentEvents.idLine(start))
            connection.transport.write(
                ServerSentEvents.connected(
                    client: connection.session.client.description, channels: channels.map { ($0.label, $0.result) }))
        }
        let isWhole = replay(channels, to: connection)
        markDirty(connection)
        // Whoever comes back with the last position gets the rest.
        if !isWhole { perform(connection.session.close(.slow), connection) }
    }

    /// Queues what was missed, each message with the cursor at its place, as far as it fits.
    /// - Returns: whether all of it did.
    private func replay(_ channels: [OpenedChannel], to connection: Connection) -> Bool {
        let limit = environment.rules.limits.outboundBytes
        for channel in channels {
            for publication in channel.result.publications {
                if limit > 0, connection.transport.outstandingBytes > limit { return false }
                moveCursor(of: connection, channel.label, to: publication.offset ?? 0)
                connection.transport.write(
                    connection.protocolID.encodeBroadcast(publication, label: channel.label))
            }
            connection.extras?.cursor?[channel.label] = channel.result.position
        }
        return true
    }

    /// A message of the channel is about to be written.
    /// - Parameter sequence: 0 on a channel without history, which has no position.
    func moveCursor(of connection: Connection, _ label: String, to sequence: UInt64) {
        guard let extras = connection.extras, extras.cursor != nil else { return }
        if sequence != 0 { extras.cursor?[label]?.offset = sequence }
        guard connection.protocolID == .serverSentEvents, let cursor = extras.cursor, !cursor.positions.isEmpty
        else { return }
        connection.transport.write(ServerSentEvents.idLine(cursor))
    }

    // MARK: Polls

    /// Where a poll has come to.
    package struct PollProgress: Sendable {
        /// What the next poll goes on from.
        package var position: ChannelCursor
        /// The channels, as the client calls them, of which messages that it has not seen are gone.
        package var lost: [String]
    }

    /// Where the poll is now; nil when it has gone.
    package func progress(of id: ConnectionID) -> PollProgress? {
        guard let connection = connections[id] else { return nil }
        return PollProgress(
            position: connection.extras?.cursor ?? ChannelCursor(), lost: connection.extras?.lostChannels ?? [])
    }

    /// Ends a poll that is about to be answered.
    package func endPoll(_ id: ConnectionID) -> PollProgress? {
        defer { closed(id) }
        return progress(of: id)
    }
}
