package import EventBus
package import Events
package import GatewayWire

/// Removes what a channel's history holds.
///
/// In its place stays a message that no client gets. It tells every gateway, by the bus, that nobody can go on from
/// before it, and says up to where messages were removed: who had seen all of them has missed nothing.
package struct HistoryRemoval: Sendable {
    private let bus: any EventBus
    private let stream: String
    private let subject: String
    private let limit: Int

    /// How often somebody else may publish in between before the caller is told to try again.
    private static let attempts = 10

    package init(_ channel: ChannelName, _ history: ChannelHistory, bus: any EventBus, subjects: Subjects) {
        self.bus = bus
        stream = subjects.historyStream(namespace: channel.namespace)
        subject = subjects.channel(channel)
        limit = history.size + 1
    }

    /// Returns when nothing that was there before is there any more.
    package func run() async throws(ClientFailure) {
        do throws(BusError) {
            for _ in 0..<HistoryRemoval.attempts {
                guard let last = try await bus.lastMessage(in: stream, subject: subject) else { return }
                if ChannelMessageReader.historyRemoval(last.message) != nil {
                    // Whoever marked it may not have come to the end.
                    return try await removeAll(before: last.sequence)
                }
                let mark = BusMessage(
                    subject: subject, headers: [ChannelHeader.removed: "\(last.sequence)"], payload: Array("null".utf8))
                do throws(BusError) {
                    let receipt = try await bus.append(mark, expecting: .onSubject(last.sequence))
                    return try await removeAll(before: receipt.sequence)
                } catch  where error.code == .conflict {
                    continue
                }
            }
        } catch {
            throw .unavailable("the history cannot be removed now; try again")
        }
        throw .unavailable("the channel is too busy for its history to be removed; try again")
    }

    /// One by one: a purge of all but the newest would take the mark with it if somebody published meanwhile.
    private func removeAll(before mark: UInt64) async throws(BusError) {
        for stored in try await bus.messages(in: stream, subject: subject, after: 0, limit: limit)
        where stored.sequence < mark {
            try await bus.deleteMessage(in: stream, sequence: stored.sequence)
        }
    }
}
