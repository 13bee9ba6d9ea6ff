internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Mends what a NATS server forgets of the queues when it is killed.
///
/// Such a server comes back with what it had written: that a message was acknowledged, but perhaps not yet that it is gone.
/// The message is then never delivered again, nobody takes it away, and it counts as one that waits for ever. Nor does the
/// server find it by its subject, whose count was written: only a look at all messages does.
///
/// What is acknowledged is believed no more than that: a task that is over is concluded as if its message had been
/// delivered, and one that is not is put into its queue once more. What is over is concluded wherever it stands among the
/// delivered: the server may have forgotten that one of them was acknowledged while an older one still waits for its time.
struct QueueSweep: Service {
    /// How many messages are looked at in one go: a long queue is looked through bit by bit.
    private static let pageLength = 64
    private static let interval = Duration.seconds(5)

    let parts: WorkerParts
    let queues: [String]

    /// How long a task must have been left alone: a worker that is at it writes, or loses it, within a lease.
    private var patience: Duration { parts.lease * 2 }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var position: UInt64 = 0
            while (try? await parts.clock.pause(for: max(parts.lease, QueueSweep.interval))) != nil {
                do {
                    position = try await sweep(after: position)
                } catch {
                    parts.logger.debug("the queues were not swept", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Looks at the messages that follow `position` in the stream.
    /// - Returns: after which message to go on the next time.
    func sweep(after position: UInt64) async throws -> UInt64 {
        let delivered = try await deliveredMessages()
        guard let end = delivered.values.map(\.last).max() else { return 0 }
        let page = try await parts.bus.messages(
            in: parts.subjects.tasksStream, subject: nil, after: position, limit: QueueSweep.pageLength)
        for message in page {
            guard let queue = parts.subjects.task(ofSubject: message.message.subject)?.queue,
                let delivered = delivered[queue], message.sequence <= delivered.last
            else { continue }
            try await mend(message, queue, isSettled: message.sequence <= delivered.settled)
        }
        guard page.count == QueueSweep.pageLength, let last = page.last?.sequence, last < end else { return 0 }
        return last
    }

    /// Up to which message of the stream a queue's consumer has delivered.
    private struct Delivered {
        /// The newest that it has delivered.
        var last: UInt64
        /// Up to which it delivers none again.
        var settled: UInt64
    }

    private func deliveredMessages() async throws(BusError) -> [String: Delivered] {
        var delivered: [String: Delivered] = [:]
        for queue in queues { delivered[queue] = try await deliveredMessages(of: queue) }
        return delivered
    }

    private func deliveredMessages(of queue: String) async throws(BusError) -> Delivered? {
        do throws(BusError) {
            let state = try await parts.bus.consumerState(QueueWorker.consumer(queue), of: parts.subjects.tasksStream)
            // A killed server may have forgotten how far acknowledgements came until the next one comes.
            return Delivered(
                last: state.lastDelivered,
                settled: state.unacknowledged == 0 ? state.lastDelivered : state.acknowledged)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private func mend(_ stored: StoredMessage, _ queue: String, isSettled: Bool) async throws {
        let task: TaskMessage
        do throws(TaskMessage.Malformed) {
            task = try TaskMessage(stored.message, sequence: stored.sequence, storedAt: stored.storedAt, parts)
        } catch {
            // Nobody is at one for as long as this; who gets it all the same does just that.
            if isSettled || stored.storedAt.advanced(by: patience) <= parts.clock.now {
                try await removeMalformed(stored, error, queue)
            }
            return
        }
        let record = try await parts.store.slot(user: task.request.user, id: task.id).record
        let decision = Leftover.decide(
            record: record, sequence: stored.sequence, storedAt: stored.storedAt, isSettled: isSettled,
            patience: patience, retention: TaskStore.retention, now: parts.clock.now)
        switch decision {
        case .leave: return
        case .conclude(let record): try await TaskConclusion(parts: parts).carryOut(record, of: stored.message)
        case .remove: break
        case .queueAgain: try await queueAgain(task, stored, isRecorded: record != nil)
        }
        try await remove(stored, queue)
    }

    private func removeMalformed(
        _ stored: StoredMessage, _ malformed: TaskMessage.Malformed, _ queue: String
    ) async throws {
        try await parts.bury(
            malformed: stored.message, malformed, sequence: stored.sequence, storedAt: stored.storedAt, attempts: 1)
        try await remove(stored, queue)
    }

    private func queueAgain(_ task: TaskMessage, _ stored: StoredMessage, isRecorded: Bool) async throws {
        var request = task.request
        request.id = task.id
        request.fixTimes(submittedAt: stored.storedAt)
        var message = stored.message
        message.payload = request.json.serialized()
        // The task's own id would be one that the stream has seen.
        message.headers[HeaderName.messageID] = "\(task.id)/again/\(stored.sequence)"
        if isRecorded { message.headers[TaskStore.recordedHeader] = "1" }
        try await parts.bus.append(message)
        parts.logger.warning(
            "a task that the NATS server had forgotten to deliver is queued again",
            metadata: ["task.id": "\(task.id)", "task.name": "\(request.name)"])
    }

    private func remove(_ stored: StoredMessage, _ queue: String) async throws {
        try await parts.bus.deleteMessage(in: parts.subjects.tasksStream, sequence: stored.sequence)
        Counter(label: "apus_tasks_swept_total", dimensions: [("queue", queue)]).increment()
        parts.logger.info(
            "removed a task from its queue, which the NATS server had forgotten to remove",
            metadata: ["task.queue": "\(queue)"])
    }
}
