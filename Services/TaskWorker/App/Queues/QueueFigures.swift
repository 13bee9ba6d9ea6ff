internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// How a queue stands at the moment.
struct QueueFigures: Sendable, Hashable {
    var name: String
    /// How many tasks wait and no worker has looked at yet.
    var depth: UInt64 = 0
    /// When the oldest of those was submitted.
    var oldest: Timestamp?
    var running: Int = 0
    /// How many wait for their time, for their next attempt, or for a place elsewhere.
    var delayed: UInt64 = 0
    var isPaused = false
    /// How many tasks the queue takes; nil is any number.
    var limit: Int?

    func json(now: Timestamp) -> JSONValue {
        [
            "name": .string(name), "depth": .integer(Int64(clamping: depth)),
            "oldest_age_seconds": oldest.map { .double(max(0, $0.duration(to: now) / .seconds(1))) } ?? .null,
            "running": .integer(Int64(running)), "delayed": .integer(Int64(clamping: delayed)),
            "paused": .bool(isPaused), "limit": limit.map { .integer(Int64($0)) } ?? .null,
        ]
    }
}

/// Finds out how the queues stand. What it says is of several moments, each a few milliseconds from the next.
struct QueueSurvey: Sendable {
    let parts: WorkerParts

    /// All queues that have tasks, are served, paused or bounded, by name.
    func all() async throws(BusError) -> [QueueFigures] {
        let totals = try await totals()
        let rules = try await parts.queues.rules().filter { $0.value != QueueRule() }
        var running: [String: Int] = [:]
        for (worker, beat) in try await workers() {
            let own = worker == parts.worker ? parts.running.countByQueue : [:]
            for (queue, figures) in beat.queues { running[queue, default: 0] += own[queue] ?? figures.running }
        }
        var found: [QueueFigures] = []
        for name in Set(totals.keys).union(rules.keys).union(running.keys).sorted() {
            let present = running[name] ?? 0
            let rule = rules[name] ?? QueueRule()
            var figures = QueueFigures(
                name: name, running: present, isPaused: rule.isPaused, limit: rule.limit)
            try await count(&figures, total: totals[name] ?? 0)
            found.append(figures)
        }
        return found
    }

    /// How many tasks there are in each queue, whatever they do.
    private func totals() async throws(BusError) -> [String: UInt64] {
        var totals: [String: UInt64] = [:]
        let counts = try await parts.bus.subjectCounts(
            in: parts.subjects.tasksStream, matching: parts.subjects.allTasks)
        for (subject, count) in counts {
            guard let queue = parts.subjects.task(ofSubject: subject)?.queue else { continue }
            totals[queue, default: 0] += count
        }
        return totals
    }

    private func workers() async throws(BusError) -> [String: WorkerBeat] {
        // A silent worker's tasks are its own for as long as its lease.
        let oldest = parts.clock.now.advanced(by: .zero - max(parts.lease * 2, .seconds(5)))
        return try await parts.queues.workers(since: oldest)
    }

    private func count(_ figures: inout QueueFigures, total: UInt64) async throws(BusError) {
        let stream = parts.subjects.tasksStream
        do throws(BusError) {
            let state = try await parts.bus.consumerState(QueueWorker.consumer(figures.name), of: stream)
            figures.depth = min(total, state.pending)
            let known = figures.depth + UInt64(clamping: figures.running)
            figures.delayed = total > known ? total - known : 0
            if figures.depth > 0 { figures.oldest = try await oldest(figures.name, after: state.lastDelivered) }
        } catch {
            guard error.code == .notFound else { throw error }
            // No worker has served it yet.
            figures.depth = total
            if total > 0 { figures.oldest = try await oldest(figures.name, after: 0) }
        }
    }

    private func oldest(_ queue: String, after: UInt64) async throws(BusError) -> Timestamp? {
        try await parts.bus.messages(
            in: parts.subjects.tasksStream, subject: parts.subjects.tasks(queue: queue), after: after, limit: 1
        ).first?.storedAt
    }
}
