internal import EventBus
internal import Events
internal import TaskWorkerCore

/// Looks for a task among the messages that wait: one that was published on the bus has no record before a worker has
/// looked at it.
struct QueueSearch: Sendable {
    /// How long is looked for it. A task behind more messages than that is found when its turn comes closer.
    private static let patience = Duration.seconds(2)
    private static let pageLength = 200

    let parts: WorkerParts

    /// - Returns: the task as it would be recorded when a worker looks at it; nil if it is not among the messages.
    func queued(_ id: TaskID) async throws -> TaskRecord? {
        let stream = parts.subjects.tasksStream
        let end = ContinuousClock.now + QueueSearch.patience
        var position: UInt64 = 0
        while ContinuousClock.now < end {
            let page = try await parts.bus.messages(
                in: stream, subject: nil, after: position, limit: QueueSearch.pageLength)
            guard let last = page.last?.sequence else { return nil }
            for message in page {
                guard
                    let task = try? TaskMessage(
                        message.message, sequence: message.sequence, storedAt: message.storedAt, parts), task.id == id
                else { continue }
                return parts.queued(task, message)
            }
            position = last
        }
        return nil
    }
}
