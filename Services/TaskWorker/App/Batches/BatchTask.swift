internal import EventBus
internal import Events
internal import TaskWorkerCore

/// A task of a batch before anything was written of it. An object, as ``BatchTask`` is, since it is passed on many times.
final class BatchEntry: Sendable {
    let delivery: Delivery
    let request: TaskRequest
    /// Its first attempt, which is about to begin.
    let record: TaskRecord

    init(_ delivery: Delivery, _ request: TaskRequest, _ record: TaskRecord) {
        self.delivery = delivery
        self.request = request
        self.record = record
    }
}

/// A task of a batch whose attempt has begun.
final class BatchTask: Sendable {
    let entry: BatchEntry
    /// Holds the record of the attempt.
    let slot: TaskSlot
    let attempt: RunningAttempt
    let runner: AttemptRunner
    /// When it began; its work began as soon as its turn came.
    let start: Timestamp

    init(_ entry: BatchEntry, _ slot: TaskSlot, _ attempt: RunningAttempt, _ runner: AttemptRunner, _ start: Timestamp)
    {
        self.entry = entry
        self.slot = slot
        self.attempt = attempt
        self.runner = runner
        self.start = start
    }

    /// What has not been told of it.
    var untold: [TaskStatus] { [entry.record.queuedStatus, entry.record.status] }

    /// Leaves the batch: from here on it is as if it had begun by itself. Returns when it is done.
    func goOnAlone() async {
        await runner.accompany(attempt, slot, entry.record, unannounced: untold, since: start)
    }
}
