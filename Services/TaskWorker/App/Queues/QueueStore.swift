internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// What is known of the queues besides their messages, in a key-value bucket that forgets nothing by itself: what holds
/// for each (`queue.<name>`), when tasks of a limited rate may begin (`rate.<task name>`), and what each worker does
/// (`worker.<id>`).
struct QueueStore: Sendable {
    let bucket: any KeyValueBucket

    static func specification(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("queues"))
    }

    // MARK: Rules

    func rules() async throws(BusError) -> [String: QueueRule] {
        var rules: [String: QueueRule] = [:]
        for key in try await bucket.keys(matching: "queue.*") {
            if let entry = try await bucket.get(key), let queue = QueueStore.name(key) {
                rules[queue] = QueueStore.rule(entry)
            }
        }
        return rules
    }

    func change(_ queue: String, _ change: (inout QueueRule) -> Void) async throws(BusError) {
        while true {
            let entry = try await bucket.get("queue.\(queue)")
            let present = entry.map(QueueStore.rule) ?? QueueRule()
            var next = present
            change(&next)
            guard next != present else { return }
            do throws(BusError) {
                try await bucket.update("queue.\(queue)", next.json.serialized(), revision: entry?.revision)
                return
            } catch  where error.code == .conflict {
                continue
            }
        }
    }

    func ruleChanges() async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try await bucket.watch("queue.*", bufferLimit: 1024)
    }

    static func rule(_ entry: KeyValueEntry) -> QueueRule {
        (try? JSONValue(parsing: entry.value)).map(QueueRule.init(json:)) ?? QueueRule()
    }

    /// What a key is about: all after its first dot.
    static func name(_ key: String) -> String? {
        key.split(separator: ".", maxSplits: 1).last.map(String.init)
    }

    // MARK: Rates

    /// The schedule of a limited task, and the revision to be replaced.
    func schedule(_ task: String) async throws(BusError) -> (RateSchedule, revision: UInt64?) {
        guard let entry = try await bucket.get("rate.\(task)") else { return (RateSchedule(), nil) }
        let schedule = (try? JSONValue(parsing: entry.value)).flatMap(RateSchedule.init(json:))
        return (schedule ?? RateSchedule(), entry.revision)
    }

    /// - Throws: `conflict` if somebody else wrote since.
    func write(_ schedule: RateSchedule, of task: String, replacing revision: UInt64?) async throws(BusError) {
        try await bucket.update("rate.\(task)", schedule.json.serialized(), revision: revision)
    }

    // MARK: Workers

    func write(_ beat: WorkerBeat, of worker: String) async throws(BusError) {
        try await bucket.put("worker.\(worker)", beat.json.serialized())
    }

    func forget(worker: String) async throws(BusError) { try await bucket.purge("worker.\(worker)") }

    /// The workers that have written since `moment`, by their ids.
    func workers(since moment: Timestamp) async throws(BusError) -> [String: WorkerBeat] {
        var beats: [String: WorkerBeat] = [:]
        for key in try await bucket.keys(matching: "worker.*") {
            guard let entry = try await bucket.get(key), let worker = QueueStore.name(key) else { continue }
            if entry.writtenAt >= moment {
                beats[worker] = (try? JSONValue(parsing: entry.value)).flatMap(WorkerBeat.init(json:))
            } else if entry.writtenAt.duration(to: moment) > QueueStore.memoryOfWorkers {
                // Killed long ago.
                try await bucket.purge(key)
            }
        }
        return beats
    }

    /// How long what a killed worker wrote is kept.
    private static let memoryOfWorkers = Duration.seconds(3600)
}
