internal import EventBus
internal import Events
internal import ServiceKit
internal import ServiceLifecycle
internal import TaskWorkerCore

/// The whole worker: once the bus is there, its calls, its watch for cancels and one worker per queue.
struct Worker: Service {
    let configuration: WorkerConfiguration
    let context: ServiceContext
    let tasks: TaskRegistry
    let clock: any BusClock
    let random: @Sendable () -> Double

    func run() async throws {
        guard let (store, queues) = try await makeStores() else { return }
        context.readiness.set("streams", true)
        let service = MicroService(
            name: context.name, version: context.version, description: "Runs tasks and reports their progress",
            bus: context.bus, subjects: context.subjects, logger: context.logger)
        let parts = WorkerParts(
            bus: context.bus, subjects: context.subjects, clock: clock, store: store, queues: queues,
            rules: QueueRules(served: configuration.queues.keys),
            limits: RunningLimits(configuration.limits, queues: queues, clock: clock),
            announcer: TaskAnnouncer(
                bus: context.bus, subjects: context.subjects, clock: clock, lease: configuration.lease),
            deadLetters: DeadLetters(bus: context.bus, subjects: context.subjects), tasks: tasks,
            running: RunningAttempts(), lease: configuration.lease, worker: service.id, random: random,
            logger: context.logger)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await CancelWatch(parts: parts).run() }
            group.addTask { try await GroupForming(parts: parts).run() }
            let scheduler = Scheduler(schedules: configuration.schedules, parts: parts)
            group.addTask { try await scheduler.run() }
            group.addTask {
                try await TaskCalls(parts: parts, service: service, scheduler: scheduler, makeID: Worker.makeID).run()
            }
            let bounds = configuration.queues.mapValues { _ in Int?.none }.merging(configuration.bounds) { $1 }
            group.addTask { try await QueueRuleWatch(parts: parts, limits: bounds).run() }
            group.addTask { try await WorkerHeart(parts: parts, places: configuration.queues).run() }
            group.addTask { try await QueueMeter(parts: parts).run() }
            group.addTask { try await QueueBoundWatch(parts: parts).run() }
            group.addTask { try await ExpiryWatch(parts: parts).run() }
            let places = makePlaces()
            let queues = configuration.queues.keys.sorted()
            group.addTask { try await RemovedDeliveries(parts: parts, queues: queues).run() }
            group.addTask { try await QueueSweep(parts: parts, queues: queues).run() }
            for (queue, gate) in parts.rules.gates {
                let worker = QueueWorker(
                    queue: queue, places: places, gate: gate, drainTime: drainTime, parts: parts)
                group.addTask(executorPreference: context.bus.taskExecutor) { try await worker.run() }
            }
        }
    }

    private func makePlaces() -> Places {
        let queues = configuration.queues.map { queue, places in
            (queue, (places: places, priority: configuration.priorities[queue] ?? 0))
        }
        let table = PlaceTable(total: configuration.concurrency, queues: Dictionary(uniqueKeysWithValues: queues))
        return Places(table, queues: configuration.queues.keys)
    }

    /// How long running tasks have on shutdown. Handing back what is left takes a moment too, and must be done before
    /// everything is cut off.
    private var drainTime: Duration {
        max(.zero, context.shutdownTimeout - min(.seconds(5), context.shutdownTimeout / 4))
    }

    /// Makes the streams and the buckets as soon as there is a bus; nil if the worker is to stop before that.
    private func makeStores() async throws -> (TaskStore, QueueStore)? {
        do {
            return try await cancelWhenGracefulShutdown {
                try await context.untilAvailable("the streams of tasks") {
                    try await context.bus.ensureStream(.tasks(context.subjects))
                    try await context.bus.ensureStream(ExpiryBook.specification(context.subjects))
                    try await DeadLetters(bus: context.bus, subjects: context.subjects).ensureStream()
                    return (
                        TaskStore(bucket: try await context.bus.keyValue(TaskStore.specification(context.subjects))),
                        QueueStore(bucket: try await context.bus.keyValue(QueueStore.specification(context.subjects)))
                    )
                }
            }
        } catch is CancellationError {
            return nil
        }
    }

    private static func makeID(at moment: Timestamp) -> TaskID {
        var generator = SystemRandomNumberGenerator()
        return TaskID.generate(at: moment, using: &generator)
    }
}
