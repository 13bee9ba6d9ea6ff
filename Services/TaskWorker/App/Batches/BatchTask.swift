internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import TaskWorkerCore

/// A task of a batch before anybody works on it. An object, as ``BatchTask`` is, since it is passed on many times.
final class BatchEntry: Sendable {
    let runner: AttemptRunner
    /// Its first attempt, as it is to begin.
    let record: TaskRecord
    /// Of its record.
    let key: String

    init(_ runner: AttemptRunner, _ record: TaskRecord) {
        self.runner = runner
        self.record = record
        key = TaskStore.key(of: record)
    }

    var delivery: Delivery { runner.delivery }
}

/// A task of a batch that is worked on. No record says so as long as it is part of the batch.
final class BatchTask: Sendable {
    let entry: BatchEntry
    let attempt: RunningAttempt
    /// When it began; its work began as soon as its turn came.
    let start: Timestamp

    init(_ entry: BatchEntry, _ attempt: RunningAttempt, _ start: Timestamp) {
        self.entry = entry
        self.attempt = attempt
        self.start = start
    }

    /// What has not been told of it.
    var untold: [TaskStatus] { [entry.record.queuedStatus, entry.record.status] }

    /// Leaves the batch: records that the attempt has begun, and from here on it is as if it had begun by itself. If somebody else
    /// has recorded the task meanwhile, as who cancels it does, what was done here changes nothing.
    ///
    /// Returns when it is done.
    /// - Parameter anew: deals with the message as if it had just come.
    func goOnAlone(_ parts: WorkerParts, anew: (Delivery) async -> Void) async {
        let (store, clock, attempt, record) = (parts.store, parts.clock, attempt, entry.record)
        let begun: TaskSlot
        do {
            begun = try await clock.persist(while: { attempt.holdsLease }) { () throws(BusError) in
                try await store.write(record, replacing: store.emptySlot(user: record.user, id: record.id))
            }
        } catch {
            attempt.stop(.superseded)
            parts.running.remove([attempt])
            parts.unrecorded.end(record.id)
            let logger = parts.logger(of: record.id, record.name, attempt: record.attempt)
            if (error as? BusError)?.code == .conflict {
                Counter(label: "apus_tasks_fenced_total").increment()
                logger.notice("somebody else has recorded the task meanwhile; what was done here changes nothing")
            } else {
                logger.warning("a task could not be recorded; it comes again", metadata: ["error": "\(error)"])
            }
            return await anew(entry.delivery)
        }
        parts.unrecorded.end(record.id)
        await entry.runner.accompany(attempt, begun, record, unannounced: untold, since: start)
    }
}
