internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import TaskWorkerCore
internal import Tasks

/// Writes down and publishes what becomes of one attempt; the only one that does, and one thing after the other.
struct AttemptJournal: Sendable {
    /// How soon what the bus did not take is tried again.
    private static let retryPause = Duration.milliseconds(500)

    let parts: WorkerParts
    let attempt: RunningAttempt
    private(set) var slot: TaskSlot
    private(set) var record: TaskRecord
    /// Written, but not published yet, in order.
    private var unannounced: [TaskStatus] = []
    /// Some of them may be published: it was tried, and no answer came.
    private var mayBeAnnounced = false
    /// The first of them, while they are being published: whether they are.
    private var beginning: Task<Bool, Never>?
    /// Reported, but not written yet.
    private var unwritten: ProgressThinner.Report?

    /// Begins to tell what is to be told first; the work need not wait for it.
    init(
        parts: WorkerParts, attempt: RunningAttempt, slot: TaskSlot, record: TaskRecord, unannounced: [TaskStatus]
    ) {
        self.parts = parts
        self.attempt = attempt
        self.slot = slot
        self.record = record
        self.unannounced = unannounced
        // Owned here: waited for before anything else is told.
        beginning = Task(executorPreference: parts.bus.taskExecutor) {
            do {
                try await parts.clock.repeatedly(while: { attempt.holdsLease }) { isRepeated throws(BusError) in
                    // Others may have gone on without it.
                    guard attempt.holdsLease else { throw BusError(.timeout, "the lease is over") }
                    try await parts.announcer.announce(unannounced, isRepeated: isRepeated)
                }
                return true
            } catch {
                return false
            }
        }
    }

    /// Returns when it is known whether the beginning has been told.
    private mutating func settleBeginning() async {
        guard let beginning = beginning.take() else { return }
        if await beginning.value { unannounced = [] } else { mayBeAnnounced = true }
    }

    // MARK: Progress

    /// Publishes the newest report if it is time for one. Never waits for a bus that is away: the newest report is
    /// tried again later.
    mutating func publishProgress() async {
        do throws(BusError) {
            await settleBeginning()
            if !unannounced.isEmpty { try await announce() }
            while attempt.stopReason == nil, let report = attempt.nextReport() ?? unwritten {
                unwritten = report
                try await write(report)
            }
        } catch {
            switch error.code {
            // Somebody else has written: the record says whether this attempt is over.
            case .conflict: await look()
            default: attempt.wakeLater(after: AttemptJournal.retryPause)
            }
        }
    }

    private mutating func write(_ report: ProgressThinner.Report) async throws(BusError) {
        var next = record
        next.report(progress: report.progress, message: report.message, at: parts.clock.now)
        slot = try await parts.store.write(next, replacing: slot)
        record = next
        unwritten = nil
        await settleBeginning()
        unannounced.append(next.status)
        try await announce()
        Counter(label: "apus_task_reports_total").increment()
    }

    /// Publishes versions that others may have followed by now only while the lease says that they have not.
    private mutating func announce() async throws(BusError) {
        guard attempt.holdsLease else { return }
        let isRepeated = mayBeAnnounced
        mayBeAnnounced = true
        try await parts.announcer.announce(unannounced, isRepeated: isRepeated)
        mayBeAnnounced = false
        unannounced = []
    }

    private mutating func look() async {
        do throws(BusError) {
            let present = try await parts.store.slot(user: record.user, id: record.id)
            guard let found = present.record else {
                // The record is gone, by its age or by hand: the next write makes it anew.
                slot = present
                return attempt.wakeLater(after: AttemptJournal.retryPause)
            }
            if found.attempt != record.attempt {
                attempt.stop(.superseded)
            } else if found.state.isFinal {
                attempt.stop(.cancelled)
            } else {
                (slot, record) = (present, found)
                attempt.wakeLater(after: AttemptJournal.retryPause)
            }
        } catch {
            attempt.wakeLater(after: AttemptJournal.retryPause)
        }
    }

    // MARK: The end

    /// Records how the attempt ended, tells everybody, and answers the queue. Tries until the bus takes it.
    /// - Parameter outcome: nil if somebody else has ended the task or taken it over.
    /// - Returns: what was recorded; nil if nothing was.
    mutating func finish(
        _ outcome: AttemptOutcome?, delivery: Delivery, retrying policy: RetryPolicy, logger: Logger
    ) async -> TaskRecord? {
        do {
            guard var outcome else {
                await settleBeginning()
                return try await concede(delivery, logger)
            }
            if let last = attempt.lastReport() ?? unwritten, outcome.isByTheWork {
                // What it reported last is seen before its end is; if the bus does not take it now, the end holds it.
                try? await write(last)
            }
            let random = parts.random()
            while true {
                let end = AttemptEnd.decide(
                    outcome, of: record, retrying: policy, random: random, now: parts.clock.now)
                do {
                    let (store, previous) = (parts.store, slot)
                    slot = try await parts.clock.persist { () throws(BusError) in
                        try await store.write(end.record, replacing: previous)
                    }
                } catch let error as BusError where error.code == .payloadTooLarge {
                    outcome = .failedForGood(
                        "the result is larger than a message on the bus may be; store it elsewhere")
                    continue
                } catch let error as BusError where error.code == .conflict {
                    guard try await resume() else {
                        await settleBeginning()
                        return try await concede(delivery, logger)
                    }
                    continue
                }
                record = end.record
                try await dispose(end, delivery, logger)
                return end.record
            }
        } catch {
            await settleBeginning()
            // Not answered, so the queue gives it to somebody else, who sees in the record how far this one came.
            logger.warning("the end of an attempt was not recorded", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// After a conflict: whether the attempt is still ours to end.
    private mutating func resume() async throws -> Bool {
        let (store, user, id) = (parts.store, record.user, record.id)
        let present = try await parts.clock.persist { () throws(BusError) in
            try await store.slot(user: user, id: id)
        }
        if let found = present.record {
            guard found.attempt == record.attempt, !found.state.isFinal else { return false }
            record = found
        }
        slot = present
        return true
    }

    /// The task is somebody else's, or over: what this attempt did changes nothing.
    private func concede(_ delivery: Delivery, _ logger: Logger) async throws -> TaskRecord? {
        let (store, user, id) = (parts.store, record.user, record.id)
        let found = try await parts.clock.persist { () throws(BusError) in
            try await store.slot(user: user, id: id).record
        }
        guard let found, found.state.isFinal, found.attempt == record.attempt else {
            Counter(label: "apus_tasks_fenced_total").increment()
            logger.notice("the attempt was taken over; its end changes nothing")
            return nil
        }
        let announcer = parts.announcer
        try await parts.clock.persist { () throws(BusError) in try await announcer.announceIfMissing(found) }
        try await TaskSequelRunner(parts: parts).settle(found, headers: delivery.message.headers)
        try await parts.clock.persist { () throws(BusError) in try await delivery.acknowledge() }
        return found
    }

    private mutating func dispose(_ end: AttemptEnd, _ delivery: Delivery, _ logger: Logger) async throws {
        await settleBeginning()
        let (announcer, statuses, attempt) = (parts.announcer, unannounced + [end.record.status], attempt)
        let mayBeAnnounced = mayBeAnnounced
        switch end.disposal {
        case .acknowledge: break
        case .bury(let reason):
            try await parts.bury(delivery.message, of: end.record, reason: reason)
        case .redeliver(let delay):
            // Another worker may be at it as soon as the lease is over.
            try? await parts.clock.repeatedly(while: { attempt.holdsLease }) { isRepeated throws(BusError) in
                guard attempt.holdsLease else { return }
                try await announcer.announce(statuses, isRepeated: isRepeated || mayBeAnnounced)
            }
            return try await parts.clock.persist { () throws(BusError) in try await delivery.retry(after: delay) }
        }
        // Final: nobody follows it with another version, so it may come late but must come.
        try await parts.clock.repeatedly { isRepeated throws(BusError) in
            try await announcer.announce(statuses, isRepeated: isRepeated || mayBeAnnounced)
        }
        try await TaskSequelRunner(parts: parts).settle(end.record, headers: delivery.message.headers)
        try await parts.clock.persist { () throws(BusError) in try await delivery.acknowledge() }
    }
}

extension AttemptOutcome {
    /// Whether the work itself came to its end.
    fileprivate var isByTheWork: Bool {
        switch self {
        case .completed, .failed, .failedForGood: true
        case .timedOut, .handedBack: false
        }
    }
}
