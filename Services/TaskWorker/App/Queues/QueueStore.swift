internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// What is known of the queues besides their messages, in a key-value bucket that forgets nothing by itself: which are
/// paused (`paused.<queue>`), how much each takes (`limit.<queue>`), and what each worker does (`worker.<id>`).
struct QueueStore: Sendable {
    let bucket: any KeyValueBucket

    static func specification(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("queues"))
    }

    // MARK: Pauses

    func pause(_ queue: String) async throws(BusError) { try await bucket.put("paused.\(queue)", []) }

    func resume(_ queue: String) async throws(BusError) { try await bucket.delete("paused.\(queue)") }

    func paused() async throws(BusError) -> Set<String> {
        Set(try await bucket.keys(matching: "paused.*").compactMap(QueueStore.queue))
    }

    func pauses() async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try await bucket.watch("paused.*", bufferLimit: 1024)
    }

    static func queue(_ key: String) -> String? {
        key.split(separator: ".", maxSplits: 1).last.map(String.init)
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
            guard let entry = try await bucket.get(key), let worker = QueueStore.queue(key) else { continue }
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
