internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Removes from the queues what is there only because the server forgot that it was removed.
///
/// A NATS server that is killed comes back with what it had written: that a message was acknowledged, but perhaps not yet that
/// it is gone. Such a message is never delivered again, so nobody takes it away, and it counts as one that waits for ever.
/// A worker acknowledges a task only when nothing is left to be done for it, so these may go. A task that is not over by its
/// record stays, and is told to the log.
struct QueueSweep: Service {
    /// How many messages are looked at in one go.
    private static let pageLength = 64

    let parts: WorkerParts
    let queues: [String]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await parts.clock.pause(for: max(parts.lease, .seconds(5)))) != nil {
                for queue in queues {
                    do throws(BusError) {
                        try await sweep(queue)
                    } catch {
                        parts.logger.debug(
                            "a queue was not swept", metadata: ["task.queue": "\(queue)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    func sweep(_ queue: String) async throws(BusError) {
        let (bus, stream) = (parts.bus, parts.subjects.tasksStream)
        let acknowledged: UInt64
        do throws(BusError) {
            acknowledged = try await bus.consumerState(QueueWorker.consumer(queue), of: stream).acknowledged
        } catch  where error.code == .notFound {
            return
        }
        var (position, removed) = (UInt64(0), 0)
        while position < acknowledged {
            // The first alone, since there is hardly ever one.
            let page = try await bus.messages(
                in: stream, subject: parts.subjects.tasks(queue: queue), after: position,
                limit: removed == 0 ? 1 : QueueSweep.pageLength)
            for message in page where message.sequence <= acknowledged {
                guard try await isOver(message) else { continue }
                try await bus.deleteMessage(in: stream, sequence: message.sequence)
                removed += 1
            }
            guard let last = page.last?.sequence else { break }
            position = last
        }
        guard removed > 0 else { return }
        Counter(label: "apus_tasks_swept_total", dimensions: [("queue", queue)]).increment(by: removed)
        parts.logger.notice(
            "removed tasks that were over, which the server had forgotten to remove",
            metadata: ["task.queue": "\(queue)", "count": "\(removed)"])
    }

    private func isOver(_ message: StoredMessage) async throws(BusError) -> Bool {
        let task: TaskMessage
        do {
            task = try TaskMessage(message.message, sequence: message.sequence, storedAt: message.storedAt, parts)
        } catch {
            // Kept among the dead letters before it was acknowledged.
            return true
        }
        let record = try await parts.store.slot(user: task.request.user, id: task.id).record
        // Of two messages of one task, the second is acknowledged while the first is being run.
        guard let record, !record.state.isFinal, record.streamSequence == message.sequence else { return true }
        parts.logger.warning(
            "a task is acknowledged in its queue and not over; submit it again",
            metadata: ["task.id": "\(task.id)", "status": "\(record.state.rawValue)"])
        return false
    }
}
