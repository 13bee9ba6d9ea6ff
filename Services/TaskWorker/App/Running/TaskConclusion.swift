internal import EventBus
internal import Events
internal import TaskWorkerCore

/// What must have happened before the message of a task that is over may go: everybody was told, a failed one is among the
/// dead letters, and what follows it is under way. Done by whoever meets such a message, as often as it takes.
struct TaskConclusion: Sendable {
    let parts: WorkerParts

    /// Tries until the bus takes it.
    func carryOut(_ record: TaskRecord, of message: BusMessage) async throws {
        let announcer = parts.announcer
        let isAnnounced = try await parts.clock.persist { () throws(BusError) in
            try await announcer.isAnnounced(record.status)
        }
        // A failed task is among the dead letters before it is announced.
        if !isAnnounced, record.state == .failed { try await parts.buryIfMissing(message, of: record) }
        // Its channel may have been told and its user not.
        try await parts.clock.persist { () throws(BusError) in try await announcer.announceAgain(record) }
        try await TaskSequelRunner(parts: parts).settle(record, headers: message.headers)
    }
}
