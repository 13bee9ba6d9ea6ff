internal import EventBus
internal import Events
internal import Synchronization
internal import TaskWorkerCore

/// Runs tasks that were fetched together, each step for all of them at once: what a step costs, the bus as well as this process,
/// is then shared by those who take it. For queues that are longer than there are places, and tasks that are done in no time.
///
/// It keeps to the order in which a task alone is dealt with: the record says that the attempt has begun before the work begins,
/// and that it has ended before anybody is told, and the message goes last. What is left out is to store that a task is queued and
/// has begun when it is over before that is told; who listens hears it all the same.
///
/// Only what is simple goes this way, and only while all goes well. What fails, reports, is stopped or is not done within
/// ``window`` goes on by itself, as if it had begun by itself; what finds no place for long goes back to its queue.
struct BatchRunner: Sendable {
    /// How many tasks a batch has at the most.
    static let size = 64
    /// How long a batch waits for its tasks.
    static let window = Duration.milliseconds(20)
    /// Tasks that take longer are not run in batches: those in front would wait for those behind.
    static let longestWork = Duration.milliseconds(1)

    let parts: WorkerParts
    let handler: DeliveryHandler

    /// Whether the task may be part of a batch: the first delivery of a task that nobody has recorded, that is to begin now and
    /// for which nothing but its own record need be looked at; then how it begins.
    func entry(_ delivery: Delivery) -> BatchEntry? {
        guard
            let task = try? TaskMessage(
                delivery.message, sequence: delivery.sequence, storedAt: delivery.storedAt, parts)
        else { return nil }
        let (request, links) = (task.request, task.request.links)
        guard parts.tasks[request.name] != nil, links.unique == nil, !links.hasSequel,
            let record = handler.firstAttempt(task, delivery), record.request?.isAbridged != true
        else { return nil }
        return BatchEntry(delivery, request, record)
    }

    /// - Parameters:
    ///   - leaseUntil: until when the deliveries are ours without renewal.
    ///   - takePlaces: takes places, in each of which one task works at a time, as soon as one is free.
    ///   - workEnded: called for each place that is not needed any more, and how long a task's work took about.
    ///   - closed: called once the batch does not wait for its tasks any more.
    ///   - left: called when so many of the tasks are done, or held by a place of their own: all are told once.
    ///   - alone: deals with a task that has not begun, since somebody else has recorded it or the bus did not take it.
    func run(
        _ entries: [BatchEntry], leaseUntil: Timestamp,
        takePlaces: @escaping @Sendable (_ maximum: Int, _ patience: Duration) async -> Int,
        workEnded: @escaping @Sendable (Duration?) -> Void, closed: @Sendable () -> Void,
        left: @escaping @Sendable (Int) -> Void, alone: @escaping @Sendable (Delivery) async -> Void
    ) async {
        let (tasks, others) = await begin(entries, leaseUntil)
        let deck = BatchDeck(count: tasks.count)
        // Their leases are kept meanwhile, so that this is only about not waiting behind slow ones for long.
        let patience = parts.lease / 8
        let watch = StallWatch(clock: parts.clock, patience: patience, progress: { deck.taken }) {
            for number in deck.takeRest() {
                tasks[number].attempt.stop(.crowded)
                tasks[number].attempt.end(BatchRunner.tooLate)
            }
        }
        watch.begin()
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for other in others {
                    group.addTask {
                        await alone(other.delivery)
                        left(1)
                    }
                }
                if !tasks.isEmpty {
                    group.addTask {
                        let places = await takePlaces(tasks.count, patience)
                        await withDiscardingTaskGroup { lanes in
                            for _ in 0..<places { lanes.addTask { await work(tasks, deck, workEnded) } }
                        }
                    }
                }
                let stopWaiting = parts.clock.schedule(after: BatchRunner.window) { deck.stopWaiting() }
                await deck.untilDone()
                stopWaiting()
                let closing = deck.close()
                closed()
                for number in closing.running + closing.waiting { group.addTask { await tasks[number].goOnAlone() } }
                // They may go on for long, and hold up no other batch.
                left(closing.running.count + closing.waiting.count)
                await BatchEnding(parts: parts, left: left).end(
                    closing.ended.map { (tasks[$0.task], $0.outcome) }, in: &group)
            }
        } onCancel: {
            for task in tasks { task.attempt.stop(.shutdown) }
        }
        watch.end()
    }

    /// Records that all of them begin.
    /// - Returns: those that have begun, and those that have not, mostly for somebody else has written a record.
    private func begin(
        _ entries: [BatchEntry], _ leaseUntil: Timestamp
    ) async -> (begun: [BatchTask], others: [BatchEntry]) {
        let (store, clock) = (parts.store, parts.clock)
        let empty = entries.map { store.emptySlot(user: $0.record.user, id: $0.record.id) }
        var results = await store.write(together: zip(entries, empty).map { ($0.record, $1) })
        // What may be written is written again, the same: as long as nobody else can have been given the task.
        let unknown = results.indices.filter { results[$0].failure.map { $0.code != .conflict } ?? false }
        await withTaskGroup(of: (Int, TaskSlot?).self) { group in
            for index in unknown {
                group.addTask {
                    let slot = try? await clock.persist(while: { clock.now < leaseUntil }) { () throws(BusError) in
                        try await store.write(entries[index].record, replacing: empty[index])
                    }
                    return (index, slot)
                }
            }
            for await case (let index, let slot?) in group { results[index] = .success(slot) }
        }
        var (begun, others) = ([BatchTask](), [BatchEntry]())
        begun.reserveCapacity(entries.count)
        for (entry, result) in zip(entries, results) {
            switch result {
            case .success(let slot): begun.append(task(entry, slot, leaseUntil))
            case .failure: others.append(entry)
            }
        }
        parts.running.add(begun.map(\.attempt))
        return (begun, others)
    }

    private func task(_ entry: BatchEntry, _ slot: TaskSlot, _ leaseUntil: Timestamp) -> BatchTask {
        let record = entry.record
        let attempt = RunningAttempt(
            id: record.id, number: record.attempt, queue: record.queue, leaseUntil: leaseUntil, clock: parts.clock)
        let runner = AttemptRunner(parts: parts, delivery: entry.delivery, request: entry.request)
        runner.countBeginning(record)
        return BatchTask(entry, slot, attempt, runner, parts.clock.now)
    }

    /// Does the tasks' work in one place.
    private func work(
        _ tasks: [BatchTask], _ deck: BatchDeck, _ workEnded: @escaping @Sendable (Duration?) -> Void
    ) async {
        let clock = parts.clock
        let times = WorkTimes()
        await BatchLane().run(deck) { lane, number in
            let (attempt, runner) = (tasks[number].attempt, tasks[number].runner)
            attempt.onStop { lane.stop(number) }
            guard attempt.holdsLease, !attempt.isStopped else {
                attempt.end(BatchRunner.tooLate)
                return BatchRunner.tooLate
            }
            let start = clock.now
            let outcome = await runner.outcome(attempt)
            times.note(start.duration(to: clock.now))
            // Who goes on by itself waits for this.
            attempt.end(outcome)
            return outcome
        }
        workEnded(times.mean)
    }

    private static let tooLate = AttemptOutcome.handedBack("handed back: its turn came too late")
}

/// How long works of one place took.
private final class WorkTimes: Sendable {
    private let state = Mutex<(sum: Duration, count: Int)>((.zero, 0))

    func note(_ time: Duration) { state.withLock { $0 = ($0.sum + time, $0.count + 1) } }

    /// nil if there were none.
    var mean: Duration? { state.withLock { $0.count > 0 ? $0.sum / $0.count : nil } }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
