internal import Events
internal import Metrics
internal import Synchronization

/// What is counted and timed for every attempt. Kept by name, since looking a metric up by its text costs as much as a
/// message to the bus.
///
/// Names are those that this worker knows: one from outside must not make a series of its own.
final class TaskMeters: Sendable {
    private struct Key: Hashable {
        var task: String
        var queue: String
    }

    private let meters = Mutex<[Key: TaskMeter]>([:])

    func meter(task: String, queue: String) -> TaskMeter {
        meters.withLock { meters in
            let key = Key(task: task, queue: queue)
            if let known = meters[key] { return known }
            let made = TaskMeter(task: task, queue: queue)
            meters[key] = made
            return made
        }
    }
}

/// The metrics of one task in one queue.
final class TaskMeter: Sendable {
    private let attempts: Counter
    private let wait: Timer
    private let attemptTime: Timer
    private let taskTime: Timer
    private let ends: [TaskState: Counter]

    init(task: String, queue: String) {
        attempts = Counter(label: "apus_task_attempts_total", dimensions: [("task", task)])
        wait = Timer(label: "apus_task_wait_seconds", dimensions: [("queue", queue)])
        attemptTime = Timer(label: "apus_task_attempt_seconds", dimensions: [("task", task)])
        taskTime = Timer(label: "apus_task_seconds", dimensions: [("task", task)])
        // Retries are counted too: each is how an attempt ended.
        let states = TaskState.allCases.filter { $0.isFinal || $0 == .retrying }
        ends = Dictionary(
            uniqueKeysWithValues: states.map { state in
                (
                    state,
                    Counter(
                        label: "apus_tasks_total", dimensions: [("task", task), ("status", state.rawValue)])
                )
            })
    }

    /// An attempt began; the first one so long after the task was due.
    func began(attempt: Int, afterNanoseconds wait: Int64) {
        attempts.increment()
        if attempt == 1 { self.wait.recordNanoseconds(wait) }
    }

    /// An attempt ended, with the task or not.
    func ended(_ state: TaskState, attemptNanoseconds: Int64, taskNanoseconds: Int64) {
        ends[state]?.increment()
        attemptTime.recordNanoseconds(attemptNanoseconds)
        if state.isFinal { taskTime.recordNanoseconds(taskNanoseconds) }
    }
}
