package import Events
package import JSON

/// All that is kept of one task, and the only ways in which it changes.
///
/// A pure value: whoever changes a task reads its record from the bucket, applies one of the transitions below and
/// writes it back only if nobody else has written meanwhile. Each transition gives the record a new version (attempt,
/// sequence), so that of two who act on the same version one fails, reads again and decides anew. Nothing follows a
/// final state: every transition refuses one.
package struct TaskRecord: Sendable, Hashable {
    /// Why an attempt ended without a result.
    package struct AttemptError: Sendable, Hashable {
        package var attempt: Int
        package var message: String
        package var at: Timestamp
    }

    /// How many of the attempts' errors are kept.
    package static let keptErrors = 50
    /// How many bytes of each of them are kept.
    package static let maximumErrorLength = 500
    /// How many bytes of a message are kept.
    package static let maximumMessageLength = 2000

    package let id: TaskID
    package let name: String
    package let queue: String
    package let user: String?
    package internal(set) var maximumAttempts: Int
    package let submittedAt: Timestamp
    package internal(set) var updatedAt: Timestamp

    package internal(set) var state: TaskState
    package internal(set) var progress: Double
    package internal(set) var attempt: Int
    package internal(set) var sequence: Int
    package internal(set) var message: String?
    package internal(set) var result: JSONValue
    /// The attempts that a worker gave back unfinished when it was stopped. They do not count against the maximum.
    package internal(set) var handedBack: Int
    /// Not to be run before this moment: the request's `eta`, then the time of the next attempt.
    package internal(set) var due: Timestamp?
    /// The slot that a task of a limited rate has got: about when it may begin.
    package internal(set) var slot: Timestamp?
    /// Which message of the queue is this task; nil until its stream has told.
    package internal(set) var streamSequence: UInt64?
    /// The number of the delivery with which the attempt began. An older one that comes late, for instance to a process
    /// that was stopped, is nobody's any more.
    package internal(set) var delivery: Int?
    /// Which process runs, or ran, the attempt.
    package internal(set) var worker: String?
    package internal(set) var errors: [AttemptError]
    /// When the present attempt began, or the last one did.
    package internal(set) var startedAt: Timestamp?
    /// What was asked for; nil for a record of an older worker.
    package let request: KeptRequest?

    /// A task that waits for its first attempt.
    package init(
        queued request: TaskRequest, id: TaskID, maximumAttempts: Int, streamSequence: UInt64?, at now: Timestamp
    ) {
        self.id = id
        name = request.name
        queue = request.queue
        user = request.user
        self.maximumAttempts = maximumAttempts
        submittedAt = now
        updatedAt = now
        state = .queued
        progress = 0
        attempt = 0
        sequence = 0
        let due = request.due(submittedAt: now)
        message = due.map { "due at \($0)" }
        result = .null
        handedBack = 0
        self.due = due
        slot = nil
        self.streamSequence = streamSequence
        delivery = nil
        worker = nil
        errors = []
        startedAt = nil
        self.request = KeptRequest(request)
    }

    /// How many attempts count against the maximum.
    package var countedAttempts: Int { max(0, attempt - handedBack) }
    package var hasAttemptsLeft: Bool { countedAttempts < maximumAttempts }

    package var status: TaskStatus {
        TaskStatus(
            id: id, name: name, state: state, progress: progress, attempt: attempt, sequence: sequence,
            message: message, result: result, user: user, queue: queue, maximumAttempts: maximumAttempts,
            submittedAt: submittedAt, updatedAt: updatedAt)
    }

    // MARK: Transitions

    /// How many attempts there are, said by the first worker that knows the task. Who submitted it may not.
    mutating func settle(maximumAttempts: Int) {
        if attempt == 0 { self.maximumAttempts = maximumAttempts }
    }

    /// An attempt begins.
    package mutating func begin(
        worker: String, streamSequence: UInt64, delivery: Int = 1, message: String? = nil, at now: Timestamp
    ) {
        guard advance(to: .started, message: message, at: now) else { return }
        attempt += 1
        sequence = 1
        progress = 0
        due = nil
        slot = nil
        self.worker = worker
        self.streamSequence = streamSequence
        self.delivery = delivery
        startedAt = now
    }

    /// Keeps among the errors that the worker of the present attempt was lost; no transition, the next attempt follows.
    package mutating func noteLoss(at now: Timestamp) {
        note(error: "the worker that ran the attempt was lost", at: now)
    }

    /// The attempt has come as far as `progress` percent. Never falls: less than before counts as before.
    package mutating func report(progress: Double, message: String?, at now: Timestamp) {
        guard advance(to: .processing, message: message ?? self.message, at: now) else { return }
        self.progress = max(self.progress, TaskRecord.percent(progress))
    }

    package mutating func complete(result: JSONValue, at now: Timestamp) {
        guard advance(to: .completed, message: nil, at: now) else { return }
        self.result = result
        progress = 100
    }

    /// The task is given up.
    package mutating func fail(message: String, at now: Timestamp) {
        guard advance(to: .failed, message: message, at: now) else { return }
        note(error: message, at: now)
    }

    /// Why a task is given up that expired.
    package static func expired(_ expiry: Timestamp) -> String { "expired: it had not begun by \(expiry)" }

    /// The attempt failed; the next one may begin at `due`.
    package mutating func retry(message: String, due: Timestamp, at now: Timestamp) {
        guard advance(to: .retrying, message: message, at: now) else { return }
        note(error: message, at: now)
        self.due = due
    }

    /// The attempt was stopped through no fault of the task, and does not count.
    package mutating func handBack(message: String, at now: Timestamp) {
        guard advance(to: .retrying, message: message, at: now) else { return }
        handedBack += 1
        due = nil
    }

    package mutating func cancel(message: String, at now: Timestamp) {
        _ = advance(to: .cancelled, message: message, at: now)
    }

    /// The task may begin at `slot`. No change that anybody is told of.
    package mutating func wait(for slot: Timestamp) {
        guard !state.isFinal, !state.isRunning else { return }
        self.slot = slot
        due = slot
    }

    private mutating func advance(to state: TaskState, message: String?, at now: Timestamp) -> Bool {
        guard !self.state.isFinal else { return false }
        self.state = state
        self.message = message.map(TaskRecord.bounded)
        sequence += 1
        updatedAt = now
        return true
    }

    private mutating func note(error: String, at now: Timestamp) {
        errors.append(
            AttemptError(
                attempt: attempt, message: TaskRecord.bounded(error, to: TaskRecord.maximumErrorLength), at: now))
        if errors.count > TaskRecord.keptErrors { errors.removeFirst(errors.count - TaskRecord.keptErrors) }
    }

    private static func bounded(_ message: String) -> String { bounded(message, to: maximumMessageLength) }

    private static func bounded(_ message: String, to limit: Int) -> String {
        guard message.utf8.count > limit else { return message }
        return String(decoding: message.utf8.prefix(limit), as: UTF8.self) + "…"
    }

    /// `value` as a percentage that may be reported: 0 to 100, and 0 for what is no number.
    package static func percent(_ value: Double) -> Double { value.isNaN ? 0 : min(100, max(0, value)) }
}
