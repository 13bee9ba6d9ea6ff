internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Refuses tasks that were published to a bounded queue beyond its bound.
///
/// No server refuses messages for one queue of a stream, so a publisher has its word that the task is stored. What is beyond
/// the bound becomes a failed task soon after, with the reason: seen from the newest backwards, as many as there are more
/// than the queue takes. They were beyond it when they were published, too, since what is before a task only becomes less.
/// Tasks that a worker put there count, and stay: they were asked for where the bound was looked at, or follow from others.
struct QueueBoundWatch: Service {
    private static let interval = Duration.seconds(1)
    /// How many tasks are refused at once.
    private static let width = 16

    let parts: WorkerParts

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                for queue in parts.rules.gates.keys.sorted() {
                    guard let limit = parts.rules.limit(queue) else { continue }
                    do {
                        try await look(queue, limit)
                    } catch {
                        parts.logger.debug(
                            "the bound of a queue was not looked at",
                            metadata: ["task.queue": "\(queue)", "error": "\(error)"])
                    }
                }
                try? await parts.clock.pause(for: QueueBoundWatch.interval)
            }
        }
    }

    private func look(_ queue: String, _ limit: Int) async throws {
        let (bus, stream) = (parts.bus, parts.subjects.tasksStream)
        let bound = QueueBound(parts: parts)
        let start = try await bus.streamState(stream)
        let present = try await bound.length(queue)
        guard present > limit else { return }
        var refused = 0
        // Of those that have been looked at.
        var kept = 0
        var reader = BackwardsReader(
            first: start.firstSequence, before: start.lastSequence + 1, count: present - limit)
        while let window = reader.window {
            let found = try await bus.messages(
                in: stream, subject: parts.subjects.tasks(queue: queue), after: window.after, limit: window.limit
            ).filter { $0.sequence < window.before }
            guard reader.read(found.count), !found.isEmpty else { continue }
            // Counted after they were read, and without what may have come since: tasks that go meanwhile make this too
            // small, never too large, so that none is refused that was not beyond the bound.
            let length = try await bound.length(queue)
            let arrived = Int(clamping: try await bus.streamState(stream).lastSequence - start.lastSequence)
            let beyond = min(found.count, length - arrived - limit - kept)
            guard beyond > 0 else { break }
            let newest = found.suffix(beyond)
            let reason = QueueBound.state(queue, length, limit) + "; submit it again when some are done"
            let count = try await newest.mapAtOnce(QueueBoundWatch.width) { try await refuse($0, reason) }
                .count { $0 }
            refused += count
            kept += found.count - count
            if beyond < found.count { break }
        }
        guard refused > 0 else { return }
        QueueBound.count(queue, refused)
        parts.logger.warning(
            "refused tasks that were published to a full queue; submit them by tasks.submit to be told at once",
            metadata: ["task.queue": "\(queue)", "count": "\(refused)", "limit": "\(limit)"])
    }

    /// - Returns: whether the task was refused: not if a worker put it there, or it has begun.
    private func refuse(_ message: StoredMessage, _ reason: String) async throws -> Bool {
        guard message.message.headers[TaskStore.recordedHeader] == nil,
            let task = try? TaskMessage(
                message.message, sequence: message.sequence, storedAt: message.storedAt, parts)
        else { return false }
        let slot = try await parts.store.slot(user: task.request.user, id: task.id)
        let record = slot.record ?? parts.queued(task, message)
        guard record.streamSequence == message.sequence else { return false }
        return try await EarlyFailure(parts: parts).fail(
            record, of: task.request, in: slot, message: message, reason: reason)
    }
}
