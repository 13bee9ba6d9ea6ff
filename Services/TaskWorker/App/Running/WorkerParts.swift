internal import EventBus
internal import Events
internal import Logging
internal import TaskWorkerCore

/// What all parts of one worker use.
struct WorkerParts: Sendable {
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
    let lease: Duration
    /// Names this process in the records.
    let worker: String
    /// 0 to 1.
    let random: @Sendable () -> Double
    let logger: Logger
    let meters = TaskMeters()
}
