internal import EventBus
internal import Events
internal import TaskWorkerCore

/// Gives up a task before its turn has come: it has failed, and is a dead letter, as if a worker had got it.
struct EarlyFailure: Sendable {
    let parts: WorkerParts

    /// - Parameters:
    ///   - slot: what the bucket holds of the task.
    ///   - message: the task's in its queue.
    /// - Returns: whether it was given up: not if it has begun or is over.
    func fail(
        _ record: TaskRecord, of request: TaskRequest, in slot: TaskSlot, message: StoredMessage, reason: String
    ) async throws -> Bool {
        guard record.state == .queued, record.attempt == 0 else { return false }
        var failed = record
        failed.fail(message: reason, at: parts.clock.now)
        do throws(BusError) {
            if slot.record == nil { try await parts.store.keep(request, of: failed) }
            _ = try await parts.store.write(failed, replacing: slot)
        } catch {
            // Somebody has begun it, or ended it.
            guard error.code == .conflict else { throw error }
            return false
        }
        // Whoever gets the message if this is not done to its end finds the record final, and does what is missing.
        try await complete(failed, message)
        return true
    }

    /// Does what follows, for a task that somebody else may have given up and left at that.
    func complete(_ failed: TaskRecord, _ message: StoredMessage) async throws {
        try await TaskConclusion(parts: parts).carryOut(failed, of: message.message)
        try await parts.bus.deleteMessage(in: parts.subjects.tasksStream, sequence: message.sequence)
    }
}

extension WorkerParts {
    /// The first record of a task that nobody has looked at yet.
    func queued(_ task: TaskMessage, _ message: StoredMessage) -> TaskRecord {
        TaskRecord(
            queued: task.request, id: task.id,
            maximumAttempts: task.request.maximumAttempts ?? tasks[task.request.name]?.maximumAttempts ?? 1,
            streamSequence: message.sequence, at: message.storedAt)
    }
}
