internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `tasks.cancel`: ends a task wherever it is. The record is final at once and survives whatever restarts; a running
/// attempt is told, and can change nothing any more.
struct TaskCancellation: Sendable {
    let parts: WorkerParts

    func cancel(_ call: RPCRequest) async throws -> JSONValue {
        let access = try TaskAccess(call.caller)
        let id = try call.taskID()
        while true {
            guard let (slot, record) = try await find(id), access.includes(record.user) else {
                throw RPCError(404, "there is no task \(id)")
            }
            if record.state == .cancelled { return record.status.json }
            guard !record.state.isFinal else { throw RPCError(409, "the task is already \(record.state.rawValue)") }
            if let cancelled = try await cancel(record, in: slot, message: "cancelled") {
                return cancelled.status.json
            }
        }
    }

    /// The task's record, or what it would be, and where it is to be written.
    private func find(_ id: TaskID) async throws -> (TaskSlot, TaskRecord)? {
        if let slot = try await parts.store.find(id), let record = slot.record { return (slot, record) }
        guard let record = try await QueueSearch(parts: parts).queued(id) else { return nil }
        let slot = try await parts.store.slot(user: record.user, id: id)
        // Somebody may have looked at it meanwhile.
        return (slot, slot.record ?? record)
    }

    /// Ends the task as its record says, in place of what `slot` holds, with all that follows from it.
    /// - Parameter settles: false leaves it to the caller to note the end in the task's group.
    /// - Returns: nil if somebody else wrote meanwhile: look again.
    func cancel(
        _ record: TaskRecord, in slot: TaskSlot, message: String, settles: Bool = true
    ) async throws -> TaskRecord? {
        var cancelled = record
        cancelled.cancel(message: message, at: parts.clock.now)
        do throws(BusError) {
            _ = try await parts.store.write(cancelled, replacing: slot)
        } catch {
            guard error.code == .conflict else { throw error }
            return nil
        }
        try await follow(cancelled, replacing: record, settles)
        return cancelled
    }

    /// Does what follows a cancel, for a task that somebody else has cancelled and perhaps left at that.
    func complete(_ cancelled: TaskRecord) async throws {
        guard cancelled.state == .cancelled else { return }
        try await parts.announcer.announceIfMissing(cancelled)
        if cancelled.attempt == 0, let sequence = cancelled.streamSequence {
            try await parts.bus.deleteMessage(in: parts.subjects.tasksStream, sequence: sequence)
        }
    }

    /// Tells everybody, then takes the task from where it waits.
    private func follow(_ cancelled: TaskRecord, replacing record: TaskRecord, _ settles: Bool) async throws {
        let (parts, id) = (parts, record.id)
        try await parts.store.markCancelled(id)
        try await parts.announcer.announceIfMissing(record)
        try await parts.announcer.announce(cancelled.status)
        if settles { try await TaskSequelRunner(parts: parts).settle(cancelled) }
        // A running one is answered by its worker. One that waits need not be delivered only to be skipped.
        if !record.state.isRunning, let sequence = record.streamSequence {
            try await parts.bus.deleteMessage(in: parts.subjects.tasksStream, sequence: sequence)
        }
    }
}
