package import Events
package import JSON

/// The only ways in which a task changes. Each gives its record a new version; nothing follows a final state.
extension TaskRecord {
    /// How many attempts there are, said by the first worker that knows the task. Who submitted it may not.
    mutating func settle(maximumAttempts: Int) {
        if attempt == 0 { change { $0.maximumAttempts = maximumAttempts } }
    }

    /// An attempt begins.
    package mutating func begin(
        worker: String, streamSequence: UInt64, delivery: Int = 1, message: String? = nil, at now: Timestamp
    ) {
        advance(to: .started, message: message, at: now) { content in
            content.attempt += 1
            content.sequence = 1
            content.progress = 0
            content.due = nil
            content.slot = nil
            content.worker = worker
            content.streamSequence = streamSequence
            content.delivery = delivery
            content.startedAt = now
        }
    }

    /// Keeps among the errors that the worker of the present attempt was lost; no transition, the next attempt follows.
    package mutating func noteLoss(at now: Timestamp) {
        change { $0.note(error: "the worker that ran the attempt was lost", at: now) }
    }

    /// The attempt has come as far as `progress` percent. Never falls: less than before counts as before.
    package mutating func report(progress: Double, message: String?, at now: Timestamp) {
        advance(to: .processing, message: message ?? self.message, at: now) { content in
            content.progress = max(content.progress, TaskRecord.percent(progress))
        }
    }

    package mutating func complete(result: JSONValue, at now: Timestamp) {
        advance(to: .completed, message: nil, at: now) { content in
            content.result = result
            content.progress = 100
        }
    }

    /// The task is given up.
    package mutating func fail(message: String, at now: Timestamp) {
        advance(to: .failed, message: message, at: now) { $0.note(error: message, at: now) }
    }

    /// Why a task is given up that expired.
    package static func expired(_ expiry: Timestamp) -> String { "expired: it had not begun by \(expiry)" }

    /// The attempt failed; the next one may begin at `due`.
    package mutating func retry(message: String, due: Timestamp, at now: Timestamp) {
        advance(to: .retrying, message: message, at: now) { content in
            content.note(error: message, at: now)
            content.due = due
        }
    }

    /// The attempt was stopped through no fault of the task, and does not count.
    package mutating func handBack(message: String, at now: Timestamp) {
        advance(to: .retrying, message: message, at: now) { content in
            content.handedBack += 1
            content.due = nil
        }
    }

    package mutating func cancel(message: String, at now: Timestamp) {
        advance(to: .cancelled, message: message, at: now)
    }

    /// The task may begin at `slot`. No change that anybody is told of.
    package mutating func wait(for slot: Timestamp) {
        guard !state.isFinal, !state.isRunning else { return }
        change { content in
            content.slot = slot
            content.due = slot
        }
    }

    /// - Parameter change: what changes beside; not called if the task is over.
    private mutating func advance(
        to state: TaskState, message: String?, at now: Timestamp, _ change: (inout Content) -> Void = { _ in }
    ) {
        guard !self.state.isFinal else { return }
        self.change { content in
            content.state = state
            content.message = message.map { TaskRecord.bounded($0, to: TaskRecord.maximumMessageLength) }
            content.sequence += 1
            content.updatedAt = now
            change(&content)
        }
    }

    fileprivate static func bounded(_ message: String, to limit: Int) -> String {
        guard message.utf8.count > limit else { return message }
        return String(decoding: message.utf8.prefix(limit), as: UTF8.self) + "…"
    }

    /// `value` as a percentage that may be reported: 0 to 100, and 0 for what is no number.
    package static func percent(_ value: Double) -> Double { value.isNaN ? 0 : min(100, max(0, value)) }
}

extension TaskRecord.Content {
    fileprivate mutating func note(error: String, at now: Timestamp) {
        errors.append(
            TaskRecord.AttemptError(
                attempt: attempt, message: TaskRecord.bounded(error, to: TaskRecord.maximumErrorLength), at: now))
        if errors.count > TaskRecord.keptErrors { errors.removeFirst(errors.count - TaskRecord.keptErrors) }
    }
}
