internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// One message of the stream of dead letters, read as what was written there.
struct DeadLetter: Sendable {
    let sequence: UInt64
    let storedAt: Timestamp
    /// What the stream's subject says; both empty for a subject of another form.
    let kind: String
    let name: String
    let message: BusMessage

    init(_ stored: StoredMessage) {
        sequence = stored.sequence
        storedAt = stored.storedAt
        message = stored.message
        let parts = stored.message.subject.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        kind = parts.count == 4 ? String(parts[2]) : ""
        name = parts.count == 4 ? SubjectToken.decode(parts[3]) ?? String(parts[3]) : ""
    }

    var isTask: Bool { kind == Subjects.DeadLetterKind.task.rawValue }
    var reason: String { message.headers[HeaderName.reason] ?? "" }
    /// Whether the payload had to be cut for the letter to fit.
    var isCut: Bool { message.headers[DeadLetters.originalSize] != nil }

    /// The id of the task that died; nil if it was none, or had none.
    var taskID: TaskID? {
        guard isTask else { return nil }
        let written = message.headers[HeaderName.taskID] ?? message.headers[DeadLetters.originalMessageID]
        return written.flatMap(TaskID.init) ?? payload?["id"]?.stringValue.flatMap(TaskID.init)
    }

    var payload: JSONValue? { try? JSONValue(parsing: message.payload) }

    var json: JSONObject {
        [
            "sequence": .integer(Int64(clamping: sequence)), "kind": .string(kind),
            "task_id": taskID.map { .string($0.description) } ?? .null, "name": .string(name),
            "reason": .string(reason),
            "attempts": message.headers[HeaderName.attempts].flatMap { Int64($0) }.map { .integer($0) } ?? .null,
            "at": .string(storedAt.description),
        ]
    }
}

/// The stream of dead letters, for those who look into it.
struct DeadLetterBox: Sendable {
    let bus: any EventBus
    let subjects: Subjects

    /// - Parameter name: only letters of this name, of whatever kind.
    func letters(name: String?, before: UInt64?, limit: Int) async throws(BusError) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        try await readBackwards(subject: subject(name), before: before, count: limit + 1) { window in
            letters += window.map(DeadLetter.init)
            return letters.count <= limit
        }
        return Array(letters.prefix(limit + 1))
    }

    func letter(_ sequence: UInt64) async throws(BusError) -> DeadLetter? {
        guard sequence > 0 else { return nil }
        let found = try await bus.messages(in: subjects.deadStream, subject: nil, after: sequence - 1, limit: 1)
        return found.first.flatMap { $0.sequence == sequence ? DeadLetter($0) : nil }
    }

    /// Whether there is a letter of this task, which ended at `moment`.
    func holds(_ id: TaskID, name: String, since moment: Timestamp) async throws(BusError) -> Bool {
        var isFound = false
        // Two machines' clocks tell the times of the task's end and of the letter.
        let earliest = moment.advanced(by: .seconds(-3600))
        try await readBackwards(subject: subjects.dead(.task, name: name), before: nil, count: 10) { window in
            isFound = window.contains { DeadLetter($0).taskID == id }
            return !isFound && (window.last.map { $0.storedAt >= earliest } ?? true)
        }
        return isFound
    }

    func delete(_ sequence: UInt64) async throws(BusError) {
        try await bus.deleteMessage(in: subjects.deadStream, sequence: sequence)
    }

    /// Removes all letters, or all of one name.
    /// - Returns: how many there were.
    func purge(name: String?) async throws(BusError) -> UInt64 {
        let before = try await bus.streamState(subjects.deadStream).messages
        try await bus.purge(stream: subjects.deadStream, subject: subject(name), keep: 0)
        let after = try await bus.streamState(subjects.deadStream).messages
        return before >= after ? before - after : 0
    }

    private func subject(_ name: String?) -> String? {
        name.map { subjects.dead(.task, name: $0).replacing(".dead.task.", with: ".dead.*.", maxReplacements: 1) }
    }

    /// Gives the messages window by window, newest first, until `wantsMore` says no.
    private func readBackwards(
        subject: String?, before: UInt64?, count: Int, _ wantsMore: ([StoredMessage]) -> Bool
    ) async throws(BusError) {
        let state = try await bus.streamState(subjects.deadStream)
        let end = state.lastSequence == .max ? .max : state.lastSequence + 1
        var reader = BackwardsReader(
            first: state.firstSequence, before: min(before ?? end, end), count: count)
        while let window = reader.window {
            let found = try await bus.messages(
                in: subjects.deadStream, subject: subject, after: window.after, limit: window.limit
            ).filter { $0.sequence < window.before }
            guard reader.read(found.count) else { continue }
            guard wantsMore(found.reversed()) else { return }
        }
    }
}
