internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Measures, again and again, how the queues stand that this worker serves.
struct QueueMeter: Service {
    private static let interval = Duration.seconds(5)

    let parts: WorkerParts

    func run() async throws {
        let survey = QueueSurvey(parts: parts)
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(BusError) {
                    let now = parts.clock.now
                    for figures in try await survey.all() where parts.rules.gates[figures.name] != nil {
                        record(figures, now: now)
                    }
                } catch {
                    parts.logger.debug("the queues were not measured", metadata: ["error": "\(error)"])
                }
                try? await parts.clock.pause(for: QueueMeter.interval)
            }
        }
    }

    private func record(_ figures: QueueFigures, now: Timestamp) {
        let queue = [("queue", figures.name)]
        Gauge(label: "apus_queue_depth", dimensions: queue).record(figures.depth)
        Gauge(label: "apus_queue_delayed", dimensions: queue).record(figures.delayed)
        Gauge(label: "apus_queue_paused", dimensions: queue).record(figures.isPaused ? 1 : 0)
        let age = figures.oldest.map { max(0, $0.duration(to: now) / .seconds(1)) } ?? 0
        Gauge(label: "apus_queue_oldest_age_seconds", dimensions: queue).record(age)
    }
}
