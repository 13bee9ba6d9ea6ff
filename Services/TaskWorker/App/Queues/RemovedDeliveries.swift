internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle

/// Makes the queues' consumers forget the tasks that are gone, whenever the worker has a server again: one that was killed may
/// take them for delivered and not answered, and then hardly gets to deliver again those that are there.
///
/// The other half of what a killed server forgets, messages that are there and never delivered again, is ``QueueSweep``'s.
struct RemovedDeliveries: Service {
    let parts: WorkerParts
    let queues: [String]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Before the first look, so that no connection is missed.
            let events = parts.bus.connectionEvents()
            await forget()
            for await event in events where event == .connected { await forget() }
        }
    }

    private func forget() async {
        let (bus, stream) = (parts.bus, parts.subjects.tasksStream)
        for queue in queues {
            do {
                try await parts.clock.persist { () throws(BusError) in
                    try await bus.forgetRemoved(by: QueueWorker.consumer(queue), of: stream)
                }
            } catch let error as BusError where error.code == .notFound {
                // Nobody has served the queue yet.
                continue
            } catch {
                parts.logger.debug(
                    "the tasks of a queue that are gone may still count as delivered",
                    metadata: ["task.queue": "\(queue)", "error": "\(error)"])
            }
        }
    }
}
