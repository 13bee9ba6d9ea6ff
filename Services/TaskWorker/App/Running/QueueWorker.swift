internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Serves one queue: fetches as many tasks as there are free places and runs each to its end.
struct QueueWorker: Service {
    /// How long one fetch waits for a task.
    private static let fetchWait = Duration.seconds(20)
    /// How many tasks of a queue may be out, over all workers: those that run, and those that wait for their time.
    private static let maximumUnacknowledged = 100_000

    /// How many tasks may be recorded at the same time beside those that run, of those that go by themselves.
    private static let maximumFinishing = 320
    /// How many tasks may be in batches.
    private static let maximumInBatches = 1280
    /// How many batches may begin before the first of them has done its work: as many as keep the bus busy meanwhile.
    private static let batchesAhead = 3
    /// How long a task that was fetched ahead waits for a place before it is given back, with those behind it.
    private var patience: Duration { min(.milliseconds(250), parts.lease / 8) }

    let queue: String
    let places: Places
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
        let gauge = Gauge(label: "apus_tasks_running", dimensions: [("queue", queue)])
        let handler = DeliveryHandler(parts: parts)
        let batches = BatchRunner(parts: parts, handler: handler)
        let finishing = Finishing(
            limit: QueueWorker.maximumFinishing, limitInBatches: QueueWorker.maximumInBatches)
        await withDiscardingTaskGroup { group in
            var consumer: (any BusConsumer)?
            var plan = FetchPlan()
            while !Task.isShuttingDownGracefully, !Task.isCancelled {
                // While batches work, their places are free by the time that another one has begun.
                let batchSize = finishing.workTime.flatMap {
                    BatchRunner.size(workTime: $0, places: places.free(of: queue) + places.taken(queue))
                }
                let inBatches = batchSize != nil
                var free = places.free(of: queue)
                if free == 0, !(inBatches && (1...QueueWorker.batchesAhead).contains(finishing.batchesAtWork)) {
                    free = await cancelWhenGracefulShutdown { await places.free(queue) }
                    guard free > 0 else { continue }
                }
                await cancelWhenGracefulShutdown { await finishing.untilRoom(forBatchOf: batchSize ?? 0) }
                if !gate.isOpen {
                    // Others need not wait for a queue that is paused.
                    places.note(queue, mayHaveMore: false)
                    await cancelWhenGracefulShutdown { await gate.untilOpen() }
                    continue
                }
                do {
                    let present: any BusConsumer
                    if let consumer { present = consumer } else { present = try await makeConsumer() }
                    consumer = present
                    let isAwaited = places.isAwaited(queue)
                    let areTasksQuick = finishing.areTasksQuick
                    let count = plan.count(
                        free: free, areTasksQuick: areTasksQuick, batchSize: batchSize,
                        roomInBatches: finishing.roomInBatches)
                    var deliveries = try await fetch(
                        count, from: present, wait: isAwaited ? .zero : QueueWorker.fetchWait)
                    if isAwaited || !deliveries.isEmpty {
                        places.note(queue, mayHaveMore: !deliveries.isEmpty)
                    }
                    plan.note(
                        count: deliveries.count, bytes: deliveries.reduce(0) { $0 + $1.message.payload.count },
                        waiting: deliveries.last.map { Int(clamping: $0.pending) } ?? 0)
                    let leaseUntil = parts.clock.now.advanced(by: parts.lease)
                    if let batchSize, deliveries.count > free, !Task.isShuttingDownGracefully, gate.isOpen {
                        run(&deliveries, by: batchSize, of: batches, handler, finishing, gauge, leaseUntil, in: &group)
                    }
                    var isCrowded = false
                    for delivery in deliveries {
                        if inBatches || areTasksQuick, !isCrowded { isCrowded = await !hasPlace() }
                        guard !Task.isShuttingDownGracefully, !isCrowded, gate.isOpen, places.take(queue) else {
                            // While it was on its way, the worker was stopped, the queue paused, or the place went to
                            // another.
                            group.addTask { try? await delivery.retry() }
                            continue
                        }
                        gauge.record(places.taken(queue))
                        let place = Place(queue, places: places, finishing: finishing)
                        group.addTask {
                            await handler.handle(delivery, in: place, leaseUntil: leaseUntil)
                            place.leave()
                            gauge.record(places.taken(queue))
                        }
                    }
                } catch let error as BusError {
                    places.note(queue, mayHaveMore: false)
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

    /// Runs those that may be in a batch, if there are more of them than places; what is left are the others.
    private func run(
        _ deliveries: inout [Delivery], by size: Int, of batches: BatchRunner, _ handler: DeliveryHandler,
        _ finishing: Finishing,
        _ gauge: Gauge, _ leaseUntil: Timestamp, in group: inout DiscardingTaskGroup
    ) {
        let read = deliveries.map { (delivery: $0, entry: batches.entry($0)) }
        let entries = read.compactMap(\.entry)
        guard entries.count > places.free(of: queue) else { return }
        deliveries = read.filter { $0.entry == nil }.map(\.delivery)
        for start in stride(from: 0, to: entries.count, by: size) {
            let batch = Array(entries[start..<min(start + size, entries.count)])
            run(batch, of: batches, handler, finishing, gauge, leaseUntil, in: &group)
        }
    }

    private func run(
        _ entries: [BatchEntry], of batches: BatchRunner, _ handler: DeliveryHandler, _ finishing: Finishing,
        _ gauge: Gauge, _ leaseUntil: Timestamp, in group: inout DiscardingTaskGroup
    ) {
        finishing.beginBatch(of: entries.count)
        group.addTask {
            await batches.run(entries, leaseUntil: leaseUntil) { maximum, patience in
                let lanes = await places.take(queue, upTo: maximum, within: patience, parts.clock)
                gauge.record(places.taken(queue))
                return lanes
            } workEnded: { workTime in
                if let workTime { finishing.note(workTime: workTime) }
                places.giveBack(queue)
                gauge.record(places.taken(queue))
            } closed: {
                finishing.batchIsClosed()
            } left: { count in
                finishing.endInBatches(count)
            } alone: { delivery in
                await places.takeBack(queue)
                let place = Place(queue, places: places, finishing: finishing)
                await handler.handle(delivery, in: place, leaseUntil: leaseUntil)
                place.leave()
            }
        }
    }

    /// Whether there is a place for the next of the tasks that were fetched together.
    private func hasPlace() async -> Bool {
        guard !Task.isShuttingDownGracefully else { return false }
        return await cancelWhenGracefulShutdown { await places.free(queue, within: patience, parts.clock) > 0 }
    }

    private func makeConsumer() async throws(BusError) -> any BusConsumer {
        try await parts.bus.ensureStream(.tasks(parts.subjects))
        return try await parts.bus.consumer(
            ConsumerSpecification(
                stream: parts.subjects.tasksStream, name: QueueWorker.consumer(queue),
                filter: parts.subjects.tasks(queue: queue),
                acknowledgementWait: parts.lease, maximumUnacknowledged: QueueWorker.maximumUnacknowledged))
    }

    private func fetch(_ count: Int, from consumer: any BusConsumer, wait: Duration) async throws -> [Delivery] {
        try await cancelWhenGracefulShutdown {
            try await gate.whileOpen { try await consumer.fetch(count, wait: wait) }
        }
    }

    /// The durable consumer of a queue.
    static func consumer(_ queue: String) -> String { "worker-\(queue)" }
}
