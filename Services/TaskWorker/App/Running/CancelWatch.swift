internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Stops running attempts as soon as their task is cancelled, wherever that was said.
///
/// A mark only says where to look: what counts is the task's record. Lease keepers look there too, so a mark that is
/// missed delays a cancel by a third of the lease at the most.
struct CancelWatch: Service {
    let parts: WorkerParts

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(BusError) {
                    // Ends when marks were lost or the bus was closed: then the watch begins anew with all of them.
                    for await event in try await parts.store.cancelMarks() {
                        if case .entry(let entry) = event, entry.operation == .put { await look(entry.key) }
                    }
                } catch {
                    parts.logger.debug("the watch for cancels is interrupted", metadata: ["error": "\(error)"])
                }
                try? await parts.clock.pause(for: .milliseconds(500))
            }
        }
    }

    private func look(_ key: String) async {
        guard let id = TaskStore.cancelled(key), let attempt = parts.running[id] else { return }
        let found = try? await parts.clock.persist { () throws(BusError) in try await parts.store.find(id) }
        guard let record = found?.record, record.attempt == attempt.number, record.state.isFinal else { return }
        attempt.stop(.cancelled)
    }
}
