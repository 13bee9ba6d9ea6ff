package import EventBus
package import Events
package import GatewayWire
package import Logging
internal import Synchronization

/// Keeps the presence table, announces this gateway's changes to the others and takes in theirs.
///
/// Thread-safe. What changes is given to `onChange` in order, on whatever thread learned of it; it must not block.
package final class PresenceService: Sendable {
    private let bus: any EventBus
    private let subject: String
    private let table: Mutex<PresenceTable>
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let onChange: @Sendable ([PresenceChange]) -> Void

    package init(
        node: String, bus: any EventBus, subjects: Subjects, logger: Logger, clock: @escaping @Sendable () -> Moment,
        onChange: @escaping @Sendable ([PresenceChange]) -> Void
    ) {
        self.bus = bus
        subject = subjects.control("presence")
        table = Mutex(PresenceTable(node: node))
        self.logger = logger
        self.clock = clock
        self.onChange = onChange
    }

    package func join(_ channel: ChannelName, _ info: ClientInfo) {
        tell { $0.join(channel, info) }
    }

    package func leave(_ channel: ChannelName, client: String) {
        tell { $0.leave(channel, client: client) }
    }

    package func members(of channel: ChannelName) -> [ClientInfo] {
        table.withLock { $0.members(of: channel) }
    }

    private func tell(_ change: (inout PresenceTable) -> (PresenceChange, PresenceAnnouncement)?) {
        // Under the lock, so that the others hear changes in the order of their numbers.
        table.withLock { table in
            guard let (change, announcement) = change(&table) else { return }
            publish(announcement)
            onChange([change])
        }
    }

    /// Listens to the others and sends heartbeats until the task is cancelled, then says goodbye.
    package func run() async throws {
        let subscription = try bus.subscribe(subject) { [self] message in
            guard let announcement = PresenceCodec.decode(message.payload) else { return }
            take { $0.receive(announcement, now: clock()) }
        }
        defer { subscription.cancel() }
        let node = table.withLock { $0.node }
        publish(.request(node: node))
        while !Task.isCancelled {
            publish(table.withLock { $0.heartbeat })
            take { PresenceTable.Effect(changes: $0.expire(now: clock())) }
            try? await Task.sleep(for: PresenceTable.heartbeatInterval)
        }
        publish(.goodbye(node: node))
    }

    private func take(_ step: (inout PresenceTable) -> PresenceTable.Effect) {
        table.withLock { table in
            let effect = step(&table)
            if !effect.changes.isEmpty { onChange(effect.changes) }
            if let reply = effect.reply { publish(reply) }
        }
    }

    /// A lost announcement shows by its number; the next heartbeat mends it.
    private func publish(_ announcement: PresenceAnnouncement) {
        do throws(BusError) {
            try bus.publish(BusMessage(subject: subject, payload: PresenceCodec.encode(announcement)))
        } catch {
            logger.debug("presence was not announced", metadata: ["error": "\(error)"])
        }
    }
}
