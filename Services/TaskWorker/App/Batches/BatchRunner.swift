internal import EventBus
internal import Events
internal import ServiceLifecycle
internal import Synchronization
internal import TaskWorkerCore

/// Runs tasks that were fetched together, each step for all of them at once: what a step costs, the bus as well as this process,
/// is then shared by those who take it. For queues that are longer than there are places, and tasks that are done in no time.
///
/// It looks first whether anybody has recorded one of them, who has cancelled it or had it before, and does the work of the others.
/// Their first record is that they are completed, which can be written only where there is none still; then it is told, and the
/// message goes last. So what is left out is to record and to store that a task has begun, for the moment that it takes; who listens
/// hears it all the same. Should the worker be lost in this moment, it is as if the attempt had not been.
///
/// Only what is simple goes this way, and only while all goes well. What fails, reports, is stopped or is not done within
/// ``window`` is recorded and goes on by itself; what finds no place for long goes back to its queue, as if it had not been taken
/// from there.
struct BatchRunner: Sendable {
    /// How many tasks a batch has at the most: the more, the less a step costs each.
    private static let sizes = 64...384
    /// How long a task works before it goes on by itself.
    static let window = Duration.milliseconds(20)
    /// What takes longer is not run in batches.
    private static let longest = Duration.milliseconds(1)
    let parts: WorkerParts
    let handler: DeliveryHandler

    /// How many tasks a batch may have whose work takes so long, in so many places: as many as are done in half of ``window``.
    /// - Returns: nil for tasks that are not run in batches, since those in front would wait for those behind.
    static func size(workTime: Duration, places: Int) -> Int? {
        guard workTime < longest else { return nil }
        let rounds = (window / 2) / max(workTime, .microseconds(1))
        return min(max(sizes.lowerBound, Int(rounds) * max(1, places)), sizes.upperBound)
    }

    /// Whether the task may be part of a batch: the first delivery of a task that nobody has recorded, that is to begin now and
    /// for which nothing but its own record need be looked at; then how it begins. Tasks of this name must be done in no time, or
    /// somebody could cancel one that works and be told that it had not begun.
    func entry(_ delivery: Delivery) -> BatchEntry? {
        guard
            let task = try? TaskMessage(
                delivery.message, sequence: delivery.sequence, storedAt: delivery.storedAt, parts)
        else { return nil }
        let (request, links) = (task.request, task.request.links)
        guard parts.workTimes.isBelow(BatchRunner.longest, request.name), links.unique == nil, !links.hasSequel,
            let record = handler.firstAttempt(task, delivery), record.request?.isAbridged != true
        else { return nil }
        return BatchEntry(AttemptRunner(parts: parts, delivery: delivery, request: request), record)
    }

    /// - Parameters:
    ///   - leaseUntil: until when the deliveries are ours without renewal.
    ///   - takePlaces: takes places, in each of which one task works at a time, as soon as one is free.
    ///   - workEnded: called for each place that is not needed any more, and how long a task's work took about.
    ///   - closed: called once, when no place will be free soon for the batch's sake.
    ///   - left: called when so many of the tasks are done, or held by a place of their own: all are told once.
    ///   - alone: deals with a message by itself, as if it had just come: somebody else has recorded the task, or it is not certain
    ///     that nobody has.
    func run(
        _ entries: [BatchEntry], leaseUntil: Timestamp,
        takePlaces: @escaping @Sendable (_ maximum: Int, _ patience: Duration) async -> Int,
        workEnded: @escaping @Sendable (Duration?) -> Void, closed: @Sendable () -> Void,
        left: @escaping @Sendable (Int) -> Void, alone: @escaping @Sendable (Delivery) async -> Void
    ) async {
        let (tasks, others) = await begin(entries, leaseUntil)
        let ending = BatchEnding(parts: parts, left: left, alone: alone)
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for other in others {
                    group.addTask {
                        // Before it asks for a place, which this one may need.
                        await parts.unrecorded.untilEnded(other.record.id)
                        await alone(other.delivery)
                        left(1)
                    }
                }
                guard !tasks.isEmpty else { return closed() }
                let deck = BatchDeck(count: tasks.count)
                // Shorter than the lease by far, which is not renewed for them.
                let patience = parts.lease / 8
                group.addTask {
                    let places = await takePlaces(tasks.count, patience)
                    await withDiscardingTaskGroup { lanes in
                        for _ in 0..<places { lanes.addTask { await work(tasks, deck, workEnded) } }
                    }
                }
                await follow(tasks, deck, until: parts.clock.now.advanced(by: patience), ending, closed, in: &group)
            }
        } onCancel: {
            for task in tasks { task.attempt.stop(.shutdown) }
        }
    }

    /// Ends tasks as they are done, and lets those that are not done within ``window`` go on by themselves.
    /// - Parameter end: when those that nobody has taken by then go back to their queue.
    private func follow(
        _ tasks: [BatchTask], _ deck: BatchDeck, until end: Timestamp, _ ending: BatchEnding, _ closed: () -> Void,
        in group: inout DiscardingTaskGroup
    ) async {
        var isFirst = true
        while true {
            let stopWaiting = parts.clock.schedule(after: BatchRunner.window) { deck.stopWaiting() }
            await deck.untilDone()
            stopWaiting()
            let round = deck.endRound(givesUp: parts.clock.now >= end)
            if isFirst { closed() }
            isFirst = false
            for number in round.running { group.addTask { await ending.goOn(tasks[number]) } }
            // They may go on for long, and hold up no other batch.
            ending.left(round.running.count)
            let out = round.ended.map { (tasks[$0.task], $0.outcome) } + round.rest.map { (tasks[$0], .notBegun) }
            if !out.isEmpty { group.addTask { await ending.end(out) } }
            if round.isLast { return }
        }
    }

    /// Looks which of them nobody has recorded.
    /// - Returns: those, and the others.
    private func begin(
        _ entries: [BatchEntry], _ leaseUntil: Timestamp
    ) async -> (begun: [BatchTask], others: [BatchEntry]) {
        var (mine, others) = ([BatchEntry](), [BatchEntry]())
        mine.reserveCapacity(entries.count)
        // Another message of the same task may be worked on here.
        for entry in entries {
            if parts.unrecorded.begin(entry.record.id) { mine.append(entry) } else { others.append(entry) }
        }
        let areNew = await parts.store.areUnrecorded(mine.map(\.key))
        let now = parts.clock.now
        var begun: [BatchTask] = []
        begun.reserveCapacity(mine.count)
        for (entry, isNew) in zip(mine, areNew) {
            guard isNew else {
                parts.unrecorded.end(entry.record.id)
                others.append(entry)
                continue
            }
            let attempt = RunningAttempt(
                id: entry.record.id, number: entry.record.attempt, queue: entry.record.queue, leaseUntil: leaseUntil,
                clock: parts.clock)
            begun.append(BatchTask(entry, attempt, now))
        }
        parts.running.add(begun.map(\.attempt))
        return (begun, others)
    }

    /// Does the tasks' work in one place.
    private func work(
        _ tasks: [BatchTask], _ deck: BatchDeck, _ workEnded: @escaping @Sendable (Duration?) -> Void
    ) async {
        let clock = parts.clock
        let times = PlaceTimes()
        await BatchLane().run(deck) { lane, number in
            let (attempt, runner) = (tasks[number].attempt, tasks[number].entry.runner)
            attempt.onStop { lane.stop(number) }
            guard attempt.holdsLease, !attempt.isStopped, !Task.isShuttingDownGracefully else {
                // The batch may have let it go on by itself already.
                attempt.end(.handedBack("handed back: its work had not begun when the worker was stopped"))
                return .notBegun
            }
            runner.countBeginning(tasks[number].entry.record)
            let start = clock.now
            let outcome = await runner.outcome(attempt)
            let time = start.duration(to: clock.now)
            times.note(time)
            parts.workTimes.note(runner.request.name, time)
            // Who goes on by itself waits for this.
            attempt.end(outcome)
            return .worked(outcome)
        }
        workEnded(times.mean)
    }
}

/// How long works of one place took.
private final class PlaceTimes: Sendable {
    private let state = Mutex<(sum: Duration, count: Int)>((.zero, 0))

    func note(_ time: Duration) { state.withLock { $0 = ($0.sum + time, $0.count + 1) } }

    /// nil if there were none.
    var mean: Duration? { state.withLock { $0.count > 0 ? $0.sum / $0.count : nil } }
}
