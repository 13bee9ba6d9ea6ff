internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import TaskWorkerCore

/// `queues.purge`: cancels all tasks of a queue that are not running, each by its record, so that whoever follows one
/// learns of it.
///
/// Answers after a while even if there are more, with how many are left; ask again then.
struct QueuePurge: Sendable {
    /// How long one call goes on.
    private static let patience = Duration.seconds(5)
    private static let pageLength = 500
    /// How many tasks are cancelled at once.
    private static let concurrency = 16

    let parts: WorkerParts

    func run(_ queue: String) async throws -> JSONValue {
        let stream = parts.subjects.tasksStream
        let subject = parts.subjects.tasks(queue: queue)
        let end = ContinuousClock.now + QueuePurge.patience
        // What comes in meanwhile is not meant.
        let last = try await parts.bus.streamState(stream).lastSequence
        var (purged, position, isDone) = (0, UInt64(0), false)
        while !isDone, ContinuousClock.now < end {
            let page = try await parts.bus.messages(
                in: stream, subject: subject, after: position, limit: QueuePurge.pageLength
            ).filter { $0.sequence <= last }
            guard let lastOfPage = page.last?.sequence else {
                isDone = true
                break
            }
            purged += try await page.mapAtOnce(QueuePurge.concurrency) { try await cancel($0) }.count { $0 }
            position = lastOfPage
        }
        var remaining = 0
        if !isDone {
            remaining = try await parts.bus.subjectCounts(in: stream, matching: subject).reduce(0) {
                $0 + Int(clamping: $1.value)
            }
        }
        parts.logger.notice(
            "a queue was purged",
            metadata: ["task.queue": "\(queue)", "purged": "\(purged)", "remaining": "\(remaining)"])
        return ["purged": .integer(Int64(purged)), "remaining": .integer(Int64(remaining))]
    }

    /// Whether the task was cancelled: not if it runs or is over.
    private func cancel(_ message: StoredMessage) async throws -> Bool {
        let task: TaskMessage
        do {
            task = try TaskMessage(message.message, sequence: message.sequence, storedAt: message.storedAt, parts)
        } catch {
            // What is no task has nobody to be told.
            try await parts.bus.deleteMessage(in: parts.subjects.tasksStream, sequence: message.sequence)
            return true
        }
        let cancellation = TaskCancellation(parts: parts)
        while true {
            let slot = try await parts.store.slot(user: task.request.user, id: task.id)
            let record = slot.record ?? parts.queued(task, message)
            guard !record.state.isFinal, !record.state.isRunning, record.streamSequence == message.sequence else {
                return false
            }
            if try await cancellation.cancel(record, in: slot, message: "purged from its queue") != nil { return true }
        }
    }
}
