internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// What the bucket holds for one task.
struct TaskSlot: Sendable {
    let key: String
    /// nil if there is none, or none that can be read.
    let record: TaskRecord?
    /// What must still be there for the next write to succeed; nil: nothing.
    let revision: UInt64?
    /// Nobody has looked: that there is nothing is what the first write finds out.
    var isAssumed = false
}

/// The tasks' records, in a key-value bucket: `task.<user>.<id>`, so that one user's can be listed without looking at
/// all others'. Every write names the revision that it replaces.
struct TaskStore: Sendable {
    /// How long a task is remembered after its last change.
    static let retention = Duration.seconds(7 * 86_400)

    /// The header of a task's message that says that whoever has stored it makes the record too.
    static let recordedHeader = "Apus-Recorded"

    let bucket: any KeyValueBucket

    static func specification(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("tasks"), timeToLive: retention)
    }

    // MARK: Records

    func slot(user: String?, id: TaskID) async throws(BusError) -> TaskSlot {
        try await slot(key: TaskStore.key(user: user, id: id))
    }

    /// - Parameter token: ``userToken(_:)`` of the task's user.
    func slot(userToken token: String, id: TaskID) async throws(BusError) -> TaskSlot {
        try await slot(key: "task.\(token).\(id)")
    }

    /// What the bucket holds of a task that nobody has recorded.
    func emptySlot(user: String?, id: TaskID) -> TaskSlot {
        TaskSlot(key: TaskStore.key(user: user, id: id), record: nil, revision: nil, isAssumed: true)
    }

    private func slot(key: String) async throws(BusError) -> TaskSlot {
        guard let entry = try await bucket.get(key) else { return TaskSlot(key: key, record: nil, revision: nil) }
        let record = (try? JSONValue(parsing: entry.value)).flatMap(TaskRecord.init(json:))
        return TaskSlot(key: key, record: record, revision: entry.revision)
    }

    /// The task with this id, whoever's it is; nil if there is none.
    func find(_ id: TaskID) async throws(BusError) -> TaskSlot? {
        for key in try await bucket.keys(matching: "task.*.\(id)") {
            let slot = try await slot(key: key)
            if slot.record != nil { return slot }
        }
        return nil
    }

    /// The ids of a user's tasks, or with nil of all tasks.
    func keys(user: String?) async throws(BusError) -> [TaskKey] {
        let filter = user.map { "task.\(TaskStore.token($0)).>" } ?? "task.>"
        return try await bucket.keys(matching: filter).compactMap(TaskKey.init)
    }

    func record(_ key: TaskKey) async throws(BusError) -> TaskRecord? { try await slot(key: key.text).record }

    /// Writes `record` if nothing else was written since `slot` was read.
    /// - Throws: `conflict` if something was. Any other error leaves open whether it was written; writing the same again
    ///   is then right.
    func write(_ record: TaskRecord, replacing slot: TaskSlot) async throws(BusError) -> TaskSlot {
        let bytes = record.serialized()
        let failure: BusError
        do throws(BusError) {
            let revision = try await bucket.update(slot.key, bytes, revision: slot.revision)
            return TaskSlot(key: slot.key, record: record, revision: revision)
        } catch {
            failure = error
        }
        guard failure.code == .conflict || failure.code == .timeout else { throw failure }
        // An earlier write whose answer was lost may be what is there now. Records name their attempt, version and
        // moment, so equal bytes are our own.
        if let entry = try await bucket.get(slot.key), entry.value == bytes {
            return TaskSlot(key: slot.key, record: record, revision: entry.revision)
        }
        throw failure
    }

    /// Of which of several tasks it is certain that nobody has recorded them.
    func areUnrecorded(_ keys: [String]) async -> [Bool] {
        guard let present = try? await bucket.present(among: keys) else { return keys.map { _ in false } }
        let recorded = Set(present.lazy.map(\.key))
        return keys.map { !recorded.contains($0) }
    }

    /// Writes the first records of several tasks at once.
    /// - Returns: of each whether it is certain that it is written. Another one may be written all the same, or there is one
    ///   already: writing it alone finds out.
    func create(together records: [TaskRecord]) async -> [Bool] {
        do throws(BusError) {
            try await bucket.create { add in
                for record in records { add(TaskStore.key(of: record), record.serialized()) }
            }
            return records.map { _ in true }
        } catch {
            // Where the bus is away, each is tried again; else something is wrong with one of them, and the others are there.
            guard !error.isRetryable, let present = try? await bucket.present(among: records.map(TaskStore.key(of:)))
            else { return records.map { _ in false } }
            let written = Dictionary(present.lazy.map { ($0.key, $0.value) }) { first, _ in first }
            // Equal bytes are our own, as in `write`.
            return records.map { written[TaskStore.key(of: $0)] == $0.serialized() }
        }
    }

    // MARK: Cancel marks

    /// Tells the worker that runs the task to look at its record.
    func markCancelled(_ id: TaskID) async throws(BusError) {
        try await bucket.put("cancel.\(id)", [])
    }

    func cancelMarks() async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try await bucket.watch("cancel.>", bufferLimit: 4096)
    }

    static func cancelled(_ key: String) -> TaskID? {
        key.hasPrefix("cancel.") ? TaskID(String(key.dropFirst("cancel.".count))) : nil
    }

    // MARK: Keys

    static func key(of record: TaskRecord) -> String { key(user: record.user, id: record.id) }

    static func key(user: String?, id: TaskID) -> String { "task.\(userToken(user)).\(id)" }

    /// The token of a key that says whose task it is.
    static func userToken(_ user: String?) -> String { user.map(token) ?? "=" }

    /// A user's id, or other text, as one token of a key: what a key's token cannot hold becomes `=XX`.
    static func token(_ text: String) -> String {
        SubjectToken.encode(text).replacing(".", with: "=2E").replacing("%", with: "=")
    }
}

/// The key of a task's record.
struct TaskKey: Sendable, Hashable {
    let text: String
    let id: TaskID

    init?(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "task", let id = TaskID(String(parts[2])) else { return nil }
        self.text = text
        self.id = id
    }
}
