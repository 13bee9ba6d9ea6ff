internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import TaskWorkerCore
internal import Tasks

/// Runs one attempt of a task from its first moment to the answer to the queue.
///
/// The work runs in a task of its own; this one alone writes the record and publishes, one after the other, so that
/// versions appear in order. Whatever happens from outside (cancel, lease, time limit, shutdown) comes in as an event.
///
/// An object, since in batches it is passed on many times.
final class AttemptRunner: Sendable {
    /// How long work that is to end may take for it before its end is recorded without it.
    static let grace = Duration.seconds(5)
    /// The largest result: it travels in records and channel messages, which hold 1 MiB by default.
    static let maximumResultLength = 512 * 1024

    let parts: WorkerParts
    let delivery: Delivery
    let request: TaskRequest
    private let meter: TaskMeter

    init(parts: WorkerParts, delivery: Delivery, request: TaskRequest) {
        self.parts = parts
        self.delivery = delivery
        self.request = request
        // A name that nobody knows comes from outside and must not make a series of its own.
        let name = parts.tasks[request.name] == nil ? "unknown" : request.name
        meter = parts.meters.meter(task: name, queue: request.queue)
    }

    private var definition: TaskDefinition? { parts.tasks[request.name] }

    /// - Parameters:
    ///   - slot: holds the record of the attempt, which has just begun.
    ///   - unannounced: what is to be told of it first.
    ///   - leaseUntil: until when the delivery is ours without renewal.
    ///   - place: given back as soon as the work has ended.
    func run(_ slot: TaskSlot, unannounced: [TaskStatus], in place: Place, leaseUntil: Timestamp) async {
        guard let record = slot.record else { return }
        let attempt = RunningAttempt(
            id: record.id, number: record.attempt, queue: record.queue, leaseUntil: leaseUntil, clock: parts.clock)
        parts.running.add(attempt)
        countBeginning(record)
        let start = parts.clock.now
        // Owned here: stopped by the attempt, and always waited for below.
        let work = Task { [self] in
            let workStart = parts.clock.now
            let outcome = await outcome(attempt)
            let time = workStart.duration(to: parts.clock.now)
            if definition != nil { parts.workTimes.note(request.name, time) }
            place.workEnded(after: time)
            attempt.end(outcome)
        }
        attempt.onStop { work.cancel() }
        await accompany(attempt, slot, record, unannounced: unannounced, since: start)
        await work.value
    }

    /// Keeps the lease of an attempt whose work is under way or has ended, publishes its progress and records its end.
    /// - Parameters:
    ///   - attempt: one of those that run; not afterwards.
    ///   - start: when its work began.
    func accompany(
        _ attempt: RunningAttempt, _ slot: TaskSlot, _ record: TaskRecord, unannounced: [TaskStatus],
        since start: Timestamp
    ) async {
        defer { parts.running.remove(attempt) }
        attempt.watchLease()
        let endLimits = limits(attempt, since: start)
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                let keeper = LeaseKeeper(
                    attempt: attempt, delivery: delivery, key: (record.user, record.id), parts: parts)
                group.addTask { await keeper.run() }
                var journal = AttemptJournal(
                    parts: parts, attempt: attempt, slot: slot, record: record, unannounced: unannounced)
                let logger = logger(of: attempt)
                let outcome = await follow(attempt, &journal, logger)
                let final = await journal.finish(
                    outcome, delivery: delivery, retrying: retryPolicy, logger: logger)
                count(final, since: start)
                group.cancelAll()
            }
        } onCancel: {
            attempt.stop(.shutdown)
        }
        for end in endLimits { end() }
        attempt.close()
    }

    private func logger(of attempt: RunningAttempt) -> Logger {
        parts.logger(of: attempt.id, request.name, attempt: attempt.number)
    }

    /// Plans the soft and the hard time limit. A soft one that is no shorter than the hard one has no effect.
    /// - Returns: what takes the plans back.
    private func limits(_ attempt: RunningAttempt, since start: Timestamp) -> [@Sendable () -> Void] {
        var plans: [@Sendable () -> Void] = []
        let passed = start.duration(to: parts.clock.now)
        if let limit = request.timeout ?? definition?.timeout {
            plans.append(parts.clock.schedule(after: limit - passed) { attempt.stop(.timedOut(limit)) })
        }
        if let limit = request.softTimeout ?? definition?.softTimeout {
            plans.append(parts.clock.schedule(after: limit - passed) { attempt.passSoftLimit(limit) })
        }
        return plans
    }

    private var retryPolicy: RetryPolicy {
        var policy = definition?.retry ?? RetryPolicy()
        if let base = request.retry?.base { policy.base = base }
        if let maximum = request.retry?.maximum { policy.maximum = maximum }
        return policy
    }

    /// Publishes progress until the attempt ends.
    private func follow(
        _ attempt: RunningAttempt, _ journal: inout AttemptJournal, _ logger: Logger
    ) async -> AttemptOutcome? {
        for await event in attempt.events {
            switch event {
            case .progress: await journal.publishProgress()
            case .ended(let outcome):
                guard let reason = attempt.stopReason else { return outcome }
                return self.outcome(of: reason)
            case .stopped: attempt.planGraceEnd(after: AttemptRunner.grace)
            case .graceOver:
                logger.warning("a task goes on although it was told to stop")
                return attempt.stopReason.flatMap(outcome(of:))
            }
        }
        return .handedBack("the worker was stopped")
    }

    /// What a stop makes of the attempt; nil if there is nothing left to be recorded.
    private func outcome(of reason: StopReason) -> AttemptOutcome? {
        switch reason {
        case .cancelled, .superseded: nil
        case .timedOut(let limit): .timedOut(after: limit)
        case .leaseLost: .handedBack("handed back: the worker lost sight of the bus for longer than its lease")
        case .shutdown: .handedBack("handed back: the worker was stopped")
        }
    }

    /// Does the work.
    func outcome(_ attempt: RunningAttempt) async -> AttemptOutcome {
        guard let definition else {
            let known = parts.tasks.names.joined(separator: ", ")
            return .failedForGood(
                "no task \(request.name) is known to the worker of queue \(request.queue), only \(known); "
                    + "correct the name, or add it to worker.tasks of every worker that serves this queue")
        }
        let headers = delivery.message.headers
        var trace: [String: String] = [:]
        if !headers.isEmpty {
            for name in [HeaderName.traceParent, HeaderName.traceState] { trace[name] = headers[name] }
        }
        let context = TaskContext(
            attempt, name: request.name, user: request.user, trace: trace, logger: self.logger(of: attempt))
        do {
            let result = try await definition.run(request.arguments, context)
            let length = result.isNull ? 0 : result.serialized().count
            guard length <= AttemptRunner.maximumResultLength else {
                return .failedForGood(
                    "the result takes \(length) bytes, more than the \(AttemptRunner.maximumResultLength) that are "
                        + "allowed; store it elsewhere and return where")
            }
            return .completed(result)
        } catch let failure as TaskFailure {
            return failure.isRetryable ? .failed(failure.message) : .failedForGood(failure.message)
        } catch  where error is TaskStopped || error is CancellationError {
            // What stopped it decides; a task that gives up by itself has failed.
            return .failed("the task gave up although nobody had told it to")
        } catch {
            return .failed("\(error)")
        }
    }

    func countBeginning(_ record: TaskRecord) {
        let due = request.due(submittedAt: record.submittedAt) ?? record.submittedAt
        meter.began(
            attempt: record.attempt, afterNanoseconds: max(0, record.updatedAt.nanoseconds - due.nanoseconds))
    }

    func count(_ final: TaskRecord?, since start: Timestamp) {
        guard let final else { return }
        meter.ended(
            final.state, attemptNanoseconds: parts.clock.now.nanoseconds - start.nanoseconds,
            taskNanoseconds: max(0, final.updatedAt.nanoseconds - final.submittedAt.nanoseconds))
    }
}
