package import Events

/// What a worker does with a task that the queue has handed to it: decided from the task's record alone, so that
/// redeliveries, duplicates, other workers and cancels all meet in one place.
package enum Admission: Sendable, Hashable {
    /// Run it: `record` is the attempt that begins, to be written in place of `previous` (nil: there was none).
    case begin(TaskRecord, replacing: TaskRecord?)
    /// Not yet: `record`, if not nil, is to be written first; then ask for the message again after `delay`.
    case postpone(writing: TaskRecord?, delay: Duration)
    /// It is over: only make sure that everybody was told, and take it from the queue.
    case finished(TaskRecord)
    /// No attempt is left after one that was lost, or the task has expired: `record` is the task given up. If there was
    /// nothing to replace, nobody has been told yet that it was queued.
    case giveUp(TaskRecord, replacing: TaskRecord?)
    /// Another message of the queue is this task too and came first. If that one is still there, this one goes;
    /// otherwise decide again with `ignoringOther`.
    case duplicate(of: UInt64)
    /// A delivery that came late: the message has been delivered anew since, so this one is not to be answered.
    case stale

    /// The longest that a task sleeps before it is looked at again, so that no wrong clock can hide it for good.
    package static let longestDelay = Duration.seconds(3600)

    /// What is known of the delivery.
    package struct Delivered: Sendable {
        package var request: TaskRequest
        package var id: TaskID
        package var streamSequence: UInt64
        /// How often the message has been delivered, this time included.
        package var delivery: Int
        package var storedAt: Timestamp
        /// How many attempts the task has if the request does not say.
        package var defaultAttempts: Int
        /// The process that asks.
        package var worker: String

        /// From when on no first attempt begins.
        var expiry: Timestamp? { request.expiry(submittedAt: storedAt) }

        /// The task's first record.
        package var queued: TaskRecord {
            TaskRecord(
                queued: request, id: id, maximumAttempts: request.maximumAttempts ?? defaultAttempts,
                streamSequence: streamSequence, at: storedAt)
        }

        package init(
            request: TaskRequest, id: TaskID, streamSequence: UInt64, delivery: Int, storedAt: Timestamp,
            defaultAttempts: Int, worker: String
        ) {
            self.request = request
            self.id = id
            self.streamSequence = streamSequence
            self.delivery = delivery
            self.storedAt = storedAt
            self.defaultAttempts = defaultAttempts
            self.worker = worker
        }
    }

    /// Whether the record's own message is to be believed to be there.
    package enum OtherMessage: Sendable {
        case unknown
        case gone
    }

    package static func decide(
        _ delivered: Delivered, record: TaskRecord?, other: OtherMessage = .unknown, now: Timestamp
    ) -> Admission {
        guard let record else { return first(delivered, now: now) }
        if record.state.isFinal { return .finished(record) }
        if let sequence = record.streamSequence, sequence != delivered.streamSequence, other == .unknown {
            return .duplicate(of: sequence)
        }
        if let begun = record.delivery, record.streamSequence == delivered.streamSequence, delivered.delivery <= begun {
            return .stale
        }
        if let expired = expired(delivered, record, now: now) { return .giveUp(expired, replacing: record) }
        if let delay = delay(delivered, record, now: now) { return .postpone(writing: nil, delay: delay) }
        var next = record
        let wasLost = record.state.isRunning
        if wasLost, !record.hasAttemptsLeft {
            next.fail(
                message:
                    "given up after \(attempts(record.countedAttempts)): the worker that ran the last one was lost",
                at: now)
            return .giveUp(next, replacing: record)
        }
        next.settle(maximumAttempts: delivered.request.maximumAttempts ?? delivered.defaultAttempts)
        if wasLost { next.noteLoss(at: now) }
        next.begin(
            worker: delivered.worker, streamSequence: delivered.streamSequence, delivery: delivered.delivery,
            message: wasLost ? "taken over: the worker that ran attempt \(record.attempt) was lost" : nil, at: now)
        return .begin(next, replacing: record)
    }

    private static func first(_ delivered: Delivered, now: Timestamp) -> Admission {
        let queued = delivered.queued
        if let expired = expired(delivered, queued, now: now) { return .giveUp(expired, replacing: nil) }
        if let delay = delay(delivered, queued, now: now) { return .postpone(writing: queued, delay: delay) }
        var started = queued
        started.begin(
            worker: delivered.worker, streamSequence: delivered.streamSequence, delivery: delivered.delivery, at: now)
        return .begin(started, replacing: nil)
    }

    /// The task given up, if it has not begun in time.
    private static func expired(_ delivered: Delivered, _ record: TaskRecord, now: Timestamp) -> TaskRecord? {
        guard record.attempt == 0, let expiry = delivered.expiry, expiry <= now else { return nil }
        var next = record
        next.fail(message: TaskRecord.expired(expiry), at: now)
        return next
    }

    /// How long the task has to wait yet, at most until it expires; nil if it need not.
    private static func delay(_ delivered: Delivered, _ record: TaskRecord, now: Timestamp) -> Duration? {
        guard let due = record.due, due > now else { return nil }
        var moment = due
        if record.attempt == 0, let expiry = delivered.expiry { moment = min(moment, expiry) }
        return min(longestDelay, now.duration(to: moment))
    }

    package static func attempts(_ count: Int) -> String { count == 1 ? "1 attempt" : "\(count) attempts" }
}
