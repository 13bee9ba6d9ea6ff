internal import EventBus
internal import Events
internal import Metrics
internal import TaskWorkerCore

/// Whether a queue takes more tasks.
struct QueueBound: Sendable {
    let parts: WorkerParts

    /// A queue that is bounded may still take a few more when several submit at the same moment.
    /// - Throws: 503 if the queue does not take `count` tasks more.
    func refuseIfFull(_ queue: String, for count: Int = 1) async throws {
        guard let limit = parts.rules.limit(queue) else { return }
        let present = try await length(queue)
        guard present + count > limit else { return }
        QueueBound.count(queue, count)
        let state = QueueBound.state(queue, present, limit)
        guard count > 1 else { throw RPCError(503, "\(state); try again when some are done") }
        let advice = count > limit ? "make the group smaller" : "try again when some are done"
        throw RPCError(503, "\(state), which leaves no room for \(count) more; \(advice)")
    }

    /// How many tasks the queue holds, those that run and wait for their time among them.
    func length(_ queue: String) async throws(BusError) -> Int {
        let counts = try await parts.bus.subjectCounts(
            in: parts.subjects.tasksStream, matching: parts.subjects.tasks(queue: queue))
        return Int(clamping: counts.values.reduce(0, +))
    }

    static func state(_ queue: String, _ present: Int, _ limit: Int) -> String {
        "the queue \(queue) is full: it holds \(present) tasks and takes \(limit)"
    }

    static func count(_ queue: String, _ count: Int) {
        Counter(label: "apus_tasks_refused_total", dimensions: [("queue", queue)]).increment(by: count)
    }
}
