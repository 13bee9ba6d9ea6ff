internal import EventBus
internal import Events
internal import Logging
internal import TaskWorkerCore
internal import Tasks

/// Ends the tasks of a batch that are done: records, tells and acknowledges, each for all of them at once. Whatever goes wrong
/// with one of them, that one goes on by itself.
struct BatchEnding: Sendable {
    let parts: WorkerParts
    /// Called when so many of them are done.
    let left: @Sendable (Int) -> Void
    let goOnAlone: @Sendable (BatchTask) async -> Void

    private final class Ended: Sendable {
        let task: BatchTask
        let record: TaskRecord
        let status: TaskStatus

        init(_ task: BatchTask, _ record: TaskRecord) {
            self.task = task
            self.record = record
            status = record.status
        }
    }

    /// - Parameter group: for those that go on by themselves.
    func end(_ ended: [(task: BatchTask, outcome: AttemptOutcome)], in group: inout DiscardingTaskGroup) async {
        let now = parts.clock.now
        var ends: [Ended] = []
        ends.reserveCapacity(ended.count)
        for (task, outcome) in ended {
            if let record = completed(task, outcome, now) {
                ends.append(Ended(task, record))
            } else {
                group.addTask {
                    await goOnAlone(task)
                    left(1)
                }
            }
        }
        let written = await parts.store.create(together: ends.map { ($0.task.entry.key, $0.record.serialized()) })
        var recorded: [Ended] = []
        recorded.reserveCapacity(ends.count)
        for (end, isWritten) in zip(ends, written) {
            if isWritten {
                recorded.append(end)
                note(end)
            } else {
                group.addTask {
                    await record(end)
                    left(1)
                }
            }
        }
        let told = await parts.announcer.announce(
            together: recorded.map { TaskAnnouncer.Course(overtaken: $0.task.untold, latest: $0.status) })
        var done = 0
        for (end, isTold) in zip(recorded, told) {
            if isTold, (try? await end.task.entry.delivery.acknowledgeUnconfirmed()) != nil {
                done += 1
                continue
            }
            group.addTask {
                await settle(end, isTold: isTold)
                left(1)
            }
        }
        left(done)
        parts.running.remove(recorded.map(\.task.attempt))
    }

    /// The end is recorded.
    private func note(_ end: Ended) {
        end.task.entry.runner.count(end.record, since: end.task.start)
        parts.unrecorded.end(end.record.id)
    }

    /// Records one of which it is not certain that its end was recorded with the others.
    private func record(_ end: Ended) async {
        let (store, attempt, record) = (parts.store, end.task.attempt, end.record)
        do {
            _ = try await parts.clock.persist(while: { attempt.holdsLease }) { () throws(BusError) in
                try await store.write(record, replacing: store.emptySlot(user: record.user, id: record.id))
            }
        } catch {
            // Somebody else's record is there, or the result is more than a message may carry.
            return await goOnAlone(end.task)
        }
        note(end)
        await settle(end, isTold: false)
        parts.running.remove([attempt])
    }

    /// The record of a task that has simply been done; nil of any other.
    private func completed(_ task: BatchTask, _ outcome: AttemptOutcome, _ now: Timestamp) -> TaskRecord? {
        guard case .completed = outcome, task.attempt.stopReason == nil, !task.attempt.hasReport else { return nil }
        return AttemptEnd.decide(outcome, of: task.entry.record, retrying: RetryPolicy(), random: 0, now: now).record
    }

    /// Tells and acknowledges a task that is over, until the bus takes it.
    private func settle(_ end: Ended, isTold: Bool) async {
        let (announcer, record) = (parts.announcer, end.record)
        let (delivery, statuses) = (end.task.entry.delivery, end.task.untold + [end.status])
        do {
            if !isTold {
                try await parts.clock.persist { () throws(BusError) in
                    try await announcer.announce(statuses, isRepeated: true)
                }
            }
            try await parts.clock.persist { () throws(BusError) in try await delivery.acknowledge() }
        } catch {
            // Not answered, so it comes again, and whoever gets it sees in the record that it is over.
            parts.logger(of: record.id, record.name, attempt: record.attempt).warning(
                "the end of a task was not told", metadata: ["error": "\(error)"])
        }
    }
}
