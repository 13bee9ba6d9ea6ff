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

    private struct Ended {
        let task: BatchTask
        let record: TaskRecord
    }

    /// - Parameter group: for those that go on by themselves.
    func end(_ ended: [(task: BatchTask, outcome: AttemptOutcome)], in group: inout DiscardingTaskGroup) async {
        let now = parts.clock.now
        var ends: [Ended] = []
        ends.reserveCapacity(ended.count)
        for (task, outcome) in ended {
            if let record = completed(task, outcome, now) {
                ends.append(Ended(task: task, record: record))
            } else {
                goOnAlone(task, in: &group)
            }
        }
        let results = await parts.store.write(together: ends.map { ($0.record, $0.task.slot) })
        var recorded: [Ended] = []
        recorded.reserveCapacity(ends.count)
        for (end, result) in zip(ends, results) {
            if case .success = result {
                recorded.append(end)
                end.task.runner.count(end.record, since: end.task.start)
            } else {
                // It may be written all the same: who ends it alone finds out.
                goOnAlone(end.task, in: &group)
            }
        }
        let told = await parts.announcer.announce(
            together: recorded.map { TaskAnnouncer.Course(overtaken: $0.task.untold, latest: $0.record.status) })
        var done = 0
        for (end, isTold) in zip(recorded, told) {
            let (task, record) = (end.task, end.record)
            if isTold, (try? await task.entry.delivery.acknowledgeUnconfirmed()) != nil {
                done += 1
                continue
            }
            group.addTask {
                await settle(task, record, isTold: isTold)
                left(1)
            }
        }
        left(done)
        parts.running.remove(recorded.map(\.task.attempt))
    }

    private func goOnAlone(_ task: BatchTask, in group: inout DiscardingTaskGroup) {
        group.addTask {
            await task.goOnAlone()
            left(1)
        }
    }

    /// The record of a task that has simply been done; nil of any other.
    private func completed(_ task: BatchTask, _ outcome: AttemptOutcome, _ now: Timestamp) -> TaskRecord? {
        guard case .completed = outcome, task.attempt.stopReason == nil, !task.attempt.hasReport else { return nil }
        return AttemptEnd.decide(outcome, of: task.entry.record, retrying: RetryPolicy(), random: 0, now: now).record
    }

    /// Tells and acknowledges a task that is over, until the bus takes it.
    private func settle(_ task: BatchTask, _ record: TaskRecord, isTold: Bool) async {
        let (announcer, delivery, statuses) = (parts.announcer, task.entry.delivery, task.untold + [record.status])
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
