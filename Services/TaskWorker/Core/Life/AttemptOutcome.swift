package import Events
package import JSON
package import Tasks

/// How an attempt ended.
package enum AttemptOutcome: Sendable, Hashable {
    case completed(JSONValue)
    /// It failed, and another attempt may go better.
    case failed(String)
    /// It failed, and would again.
    case failedForGood(String)
    case timedOut(after: Duration)
    /// The worker is being stopped, or lost sight of the bus: not the task's fault.
    case handedBack(String)
}

/// What follows the end of an attempt.
package struct AttemptEnd: Sendable, Hashable {
    /// What becomes of the task's message in the queue.
    package enum Disposal: Sendable, Hashable {
        /// The task is over.
        case acknowledge
        /// The task is over without a result: kept among the dead letters for the given reason.
        case bury(reason: String)
        case redeliver(after: Duration)
    }

    package let record: TaskRecord
    package let disposal: Disposal

    /// - Parameter random: 0 to 1, for the jitter of the next attempt's time.
    package static func decide(
        _ outcome: AttemptOutcome, of record: TaskRecord, retrying policy: RetryPolicy, random: Double, now: Timestamp
    ) -> AttemptEnd {
        var next = record
        switch outcome {
        case .completed(let result):
            next.complete(result: result, at: now)
            return AttemptEnd(record: next, disposal: .acknowledge)
        case .failed(let reason): return failure(reason, of: record, retrying: policy, random: random, now: now)
        case .timedOut(let limit):
            return failure(
                "the attempt took longer than its time limit of \(DurationText.format(limit))", of: record,
                retrying: policy, random: random, now: now)
        case .failedForGood(let reason):
            next.fail(message: reason, at: now)
            return AttemptEnd(record: next, disposal: .bury(reason: reason))
        case .handedBack(let reason):
            next.handBack(message: reason, at: now)
            return AttemptEnd(record: next, disposal: .redeliver(after: .zero))
        }
    }

    private static func failure(
        _ reason: String, of record: TaskRecord, retrying policy: RetryPolicy, random: Double, now: Timestamp
    ) -> AttemptEnd {
        var next = record
        guard record.hasAttemptsLeft else {
            let count = record.countedAttempts
            next.fail(
                message: count > 1 ? "given up after \(Admission.attempts(count)): \(reason)" : reason, at: now)
            return AttemptEnd(record: next, disposal: .bury(reason: next.message ?? reason))
        }
        let delay = policy.delay(afterAttempt: record.countedAttempts, random: random)
        next.retry(message: reason, due: now.advanced(by: delay), at: now)
        return AttemptEnd(record: next, disposal: .redeliver(after: delay))
    }
}
