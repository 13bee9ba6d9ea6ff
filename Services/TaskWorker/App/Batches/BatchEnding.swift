internal import EventBus
internal import Events
internal import Logging
internal import TaskWorkerCore
internal import Tasks

/// Ends the tasks of a batch that are done: records, tells and acknowledges, each for all of them at once. Whatever goes wrong
/// with one of them, that one goes on by itself.
struct BatchEnding: Sendable {
    /// How many go on by themselves at the same time, of those whose work has ended: each takes far more memory then.
    private static let alone = 16

    let parts: WorkerParts
    /// Called when so many of them are done.
    let left: @Sendable (Int) -> Void
    /// Deals with a message as if it had just come.
    let alone: @Sendable (Delivery) async -> Void

    /// Goes on with one by itself, to its end.
    func goOn(_ task: BatchTask) async { await task.goOnAlone(parts, anew: alone) }

    private final class Ended: Sendable {
        let task: BatchTask
        let record: TaskRecord

        init(_ task: BatchTask, _ record: TaskRecord) {
            self.task = task
            self.record = record
        }
    }

    /// Ends those that were part of a batch until now.
    func end(_ tasks: [(task: BatchTask, outcome: BatchDeck.Outcome)]) async {
        let now = parts.clock.now
        var ends: [Ended] = []
        ends.reserveCapacity(tasks.count)
        var (notBegun, others) = ([BatchTask](), [BatchTask]())
        for (task, outcome) in tasks {
            switch outcome {
            case .notBegun: notBegun.append(task)
            case .worked(let outcome):
                if let record = completed(task, outcome, now) {
                    ends.append(Ended(task, record))
                } else {
                    others.append(task)
                }
            }
        }
        await withDiscardingTaskGroup { group in
            func alone<Each: Sendable>(_ each: [Each], _ operation: @escaping @Sendable (Each) async -> Void) {
                guard !each.isEmpty else { return }
                group.addTask { await each.each(atOnce: BatchEnding.alone, operation) }
            }
            alone(notBegun, giveBack)
            alone(others) { task in
                await goOn(task)
                left(1)
            }
            let recorded = await record(ends, alone)
            let isTold = (try? await parts.announcer.announce(atOnce: recorded.map(\.record))) != nil
            var unsettled: [Ended] = []
            for end in recorded {
                if isTold, (try? await end.task.entry.delivery.acknowledgeUnconfirmed()) != nil { continue }
                unsettled.append(end)
            }
            parts.running.remove(recorded.map(\.task.attempt))
            left(recorded.count - unsettled.count)
            alone(unsettled) { end in
                await settle(end, isTold: isTold)
                left(1)
            }
        }
    }

    /// - Returns: those that are recorded now.
    private func record(
        _ ends: [Ended], _ alone: ([Ended], @escaping @Sendable (Ended) async -> Void) -> Void
    ) async -> [Ended] {
        let written = await parts.store.create(together: ends.map(\.record))
        var (recorded, others) = ([Ended](), [Ended]())
        recorded.reserveCapacity(ends.count)
        for (end, isWritten) in zip(ends, written) {
            if isWritten {
                note(end)
                recorded.append(end)
            } else {
                others.append(end)
            }
        }
        alone(others) { end in
            await record(end)
            left(1)
        }
        return recorded
    }

    /// Gives one back whose work has not begun, as if it had not been taken from the queue; unless it may be somebody else's.
    private func giveBack(_ task: BatchTask) async {
        let isOurs = task.attempt.holdsLease
        parts.running.remove([task.attempt])
        parts.unrecorded.end(task.entry.record.id)
        if isOurs { try? await task.entry.delivery.retry() }
        left(1)
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
            return await goOn(end.task)
        }
        note(end)
        await settle(end, isTold: false)
        parts.running.remove([attempt])
    }

    /// The record of a task that has simply been done; nil of any other.
    private func completed(_ task: BatchTask, _ outcome: AttemptOutcome, _ now: Timestamp) -> TaskRecord? {
        guard case .completed = outcome, task.attempt.stopReason == nil, !task.attempt.hasReport else { return nil }
        var record = AttemptEnd.decide(
            outcome, of: task.entry.record, retrying: RetryPolicy(), random: 0, now: now
        ).record
        record.tellAtOnce()
        return record
    }

    /// Tells and acknowledges a task that is over, until the bus takes it.
    private func settle(_ end: Ended, isTold: Bool) async {
        let (announcer, record) = (parts.announcer, end.record)
        let delivery = end.task.entry.delivery
        do {
            if !isTold {
                try await parts.clock.persist { () throws(BusError) in
                    try await announcer.announceAgain(record)
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
