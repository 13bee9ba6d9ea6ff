internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Writes what this worker does for `queues.list`, soon after it changes and else often enough to be seen to live.
struct WorkerHeart: Service {
    /// How soon a change is written.
    private static let interval = Duration.milliseconds(500)

    let parts: WorkerParts
    /// The queues served, each with how many of its tasks may run at once.
    let places: [String: Int]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var written: WorkerBeat?
            var writtenAt = parts.clock.now
            while !Task.isCancelled {
                let beat = parts.running.beat(places)
                if beat != written || writtenAt.duration(to: parts.clock.now) >= parts.lease / 3 {
                    do throws(BusError) {
                        try await parts.queues.write(beat, of: parts.worker)
                        (written, writtenAt) = (beat, parts.clock.now)
                    } catch {
                        parts.logger.debug("the worker's state was not written", metadata: ["error": "\(error)"])
                    }
                }
                try? await parts.clock.pause(for: WorkerHeart.interval)
            }
        }
        try? await parts.queues.forget(worker: parts.worker)
    }
}

extension RunningAttempts {
    /// What this process runs at the moment, by queue.
    func beat(_ places: [String: Int]) -> WorkerBeat {
        let running = countByQueue
        return WorkerBeat(
            queues: Dictionary(
                uniqueKeysWithValues: places.map { queue, places in
                    (queue, WorkerBeat.Queue(running: running[queue] ?? 0, places: places))
                }))
    }
}
