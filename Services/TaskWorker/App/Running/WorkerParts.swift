internal import EventBus
internal import Events
internal import Logging
internal import TaskWorkerCore

/// What all parts of one worker use. One object, since every step of every task is handed it.
final class WorkerParts: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    let clock: any BusClock
    let store: TaskStore
    let queues: QueueStore
    let rules: QueueRules
    let limits: RunningLimits
    let announcer: TaskAnnouncer
    let deadLetters: DeadLetters
    let tasks: TaskRegistry
    let running: RunningAttempts
    let unrecorded = UnrecordedTasks()
    let workTimes = WorkTimes()
    let lease: Duration
    /// Names this process in the records.
    let worker: String
    /// 0 to 1.
    let random: @Sendable () -> Double
    let logger: Logger
    let meters = TaskMeters()

    init(
        bus: any EventBus, subjects: Subjects, clock: any BusClock, store: TaskStore, queues: QueueStore,
        rules: QueueRules, limits: RunningLimits, announcer: TaskAnnouncer, deadLetters: DeadLetters,
        tasks: TaskRegistry, running: RunningAttempts, lease: Duration, worker: String,
        random: @escaping @Sendable () -> Double, logger: Logger
    ) {
        self.bus = bus
        self.subjects = subjects
        self.clock = clock
        self.store = store
        self.queues = queues
        self.rules = rules
        self.limits = limits
        self.announcer = announcer
        self.deadLetters = deadLetters
        self.tasks = tasks
        self.running = running
        self.lease = lease
        self.worker = worker
        self.random = random
        self.logger = logger
    }

    /// Says in each line which attempt it is about.
    func logger(of id: TaskID, _ name: String, attempt: Int) -> Logger {
        var logger = logger
        logger[metadataKey: "task.id"] = "\(id)"
        logger[metadataKey: "task.name"] = "\(name)"
        logger[metadataKey: "task.attempt"] = "\(attempt)"
        return logger
    }
}
