internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import Synchronization
internal import TaskWorkerCore

/// Serves one queue: fetches as many tasks as there are free places and runs each to its end.
struct QueueWorker: Service {
    /// How long one fetch waits for a task.
    private static let fetchWait = Duration.seconds(20)
    /// How many tasks of a queue may be out, over all workers: those that run, and those that wait for their time.
    private static let maximumUnacknowledged = 100_000

    let queue: String
    let concurrency: Int
    let gate: QueueGate
    /// How long running tasks have when the worker is to stop; what is not done then is handed back.
    let drainTime: Duration
    let parts: WorkerParts

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                // Ends with the group, as soon as the queue's own work below has ended.
                do {
                    try await gracefulShutdown()
                    try await parts.clock.pause(for: drainTime)
                } catch {
                    return
                }
                parts.running.stopAll()
            }
            await serve()
            group.cancelAll()
        }
    }

    /// Runs tasks until the worker is to stop, then waits for those in hand.
    private func serve() async {
        let places = Places(concurrency)
        let gauge = Gauge(label: "apus_tasks_running", dimensions: [("queue", queue)])
        let handler = DeliveryHandler(parts: parts)
        await withDiscardingTaskGroup { group in
            var consumer: (any BusConsumer)?
            while !Task.isShuttingDownGracefully, !Task.isCancelled {
                let free = await cancelWhenGracefulShutdown { await places.free() }
                guard free > 0 else { continue }
                await cancelWhenGracefulShutdown { await gate.untilOpen() }
                guard gate.isOpen else { continue }
                do {
                    let present: any BusConsumer
                    if let consumer { present = consumer } else { present = try await makeConsumer() }
                    consumer = present
                    let deliveries = try await fetch(free, from: present)
                    for delivery in deliveries {
                        guard gate.isOpen else {
                            // Paused while it was on its way.
                            group.addTask { try? await delivery.retry() }
                            continue
                        }
                        places.take()
                        gauge.record(places.taken)
                        group.addTask {
                            await handler.handle(delivery)
                            places.giveBack()
                            gauge.record(places.taken)
                        }
                    }
                } catch let error as BusError {
                    // Without the stream or its consumer, both are made anew; else the bus is away and comes back.
                    if !error.isRetryable { consumer = nil }
                    parts.logger.debug(
                        "no tasks fetched", metadata: ["task.queue": "\(queue)", "error": "\(error)"])
                    try? await cancelWhenGracefulShutdown { try await parts.clock.pause(for: .milliseconds(500)) }
                } catch {
                    continue
                }
            }
        }
    }

    private func makeConsumer() async throws(BusError) -> any BusConsumer {
        try await parts.bus.ensureStream(.tasks(parts.subjects))
        return try await parts.bus.consumer(
            ConsumerSpecification(
                stream: parts.subjects.tasksStream, name: QueueWorker.consumer(queue),
                filter: parts.subjects.tasks(queue: queue),
                acknowledgementWait: parts.lease, maximumUnacknowledged: QueueWorker.maximumUnacknowledged))
    }

    private func fetch(_ count: Int, from consumer: any BusConsumer) async throws -> [Delivery] {
        try await cancelWhenGracefulShutdown {
            try await gate.whileOpen { try await consumer.fetch(count, wait: QueueWorker.fetchWait) }
        }
    }

    /// The durable consumer of a queue.
    static func consumer(_ queue: String) -> String { "worker-\(queue)" }
}

/// How many of a queue's tasks may still begin. One waits, any number give back.
private final class Places: Sendable {
    private let total: Int
    private let state: Mutex<Int>
    private let changes: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation

    init(_ total: Int) {
        self.total = total
        state = Mutex(total)
        (changes, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var taken: Int { total - state.withLock { $0 } }

    func take() { state.withLock { $0 -= 1 } }

    func giveBack() {
        state.withLock { $0 += 1 }
        sink.yield()
    }

    /// Waits until at least one place is free; 0 if the task was cancelled.
    func free() async -> Int {
        while true {
            let count = state.withLock { $0 }
            if count > 0 { return count }
            var iterator = changes.makeAsyncIterator()
            if await iterator.next() == nil { return 0 }
        }
    }
}
