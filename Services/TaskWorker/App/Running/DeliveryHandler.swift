internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import TaskWorkerCore

/// Takes one message of a queue from delivery to answer.
struct DeliveryHandler: Sendable {
    let parts: WorkerParts

    /// Never throws: a message that could not be dealt with is left unanswered and comes again.
    /// - Parameter leaseUntil: until when the delivery is ours without renewal.
    func handle(_ delivery: Delivery, in place: Place, leaseUntil: Timestamp) async {
        do {
            let task: TaskMessage
            do throws(TaskMessage.Malformed) {
                task = try TaskMessage(
                    delivery.message, sequence: delivery.sequence, storedAt: delivery.storedAt, parts)
            } catch {
                return try await discard(delivery, error)
            }
            try await admit(delivery, task, place, leaseUntil: leaseUntil)
        } catch {
            parts.logger.warning(
                "a task could not be dealt with; it comes again",
                metadata: ["task.name": "\(delivery.message.subject)", "error": "\(error)"])
        }
    }

    // MARK: Reading

    private func discard(_ delivery: Delivery, _ malformed: TaskMessage.Malformed) async throws {
        Counter(label: "apus_tasks_malformed_total").increment()
        parts.logger.warning("a malformed task is kept as a dead letter", metadata: ["reason": "\(malformed.reason)"])
        try await parts.bury(
            malformed: delivery.message, malformed, sequence: delivery.sequence, storedAt: delivery.storedAt,
            attempts: delivery.attempt)
        try await answer { () throws(BusError) in try await delivery.acknowledge() }
    }

    // MARK: Admission

    private func admit(
        _ delivery: Delivery, _ task: TaskMessage, _ place: Place, leaseUntil: Timestamp
    ) async throws {
        let request = task.request
        let delivered = delivered(delivery, task)
        let (store, announcer) = (parts.store, parts.announcer)
        var other = Admission.OtherMessage.unknown
        var permit = RunningLimits.Permit()
        defer { parts.limits.giveBack(permit, request.name) }
        if parts.unrecorded.contains(delivered.id) {
            await place.lent { await parts.unrecorded.untilEnded(delivered.id) }
        }
        var isAssumedNew = firstAttempt(task, delivery) != nil
        while true {
            let slot: TaskSlot
            if isAssumedNew {
                slot = store.emptySlot(user: request.user, id: delivered.id)
            } else {
                slot = try await answer { () throws(BusError) in
                    try await store.slot(user: request.user, id: delivered.id)
                }
            }
            isAssumedNew = false
            do {
                switch Admission.decide(delivered, record: slot.record, other: other, now: parts.clock.now) {
                case .begin(let record, let previous):
                    if let reason = try await reasonNotToRun(record, request) {
                        return try await cancel(record, replacing: previous, slot, delivery, request, reason)
                    }
                    switch try await parts.limits.ask(
                        request.name, &permit, slot: previous?.slot, delivery: delivery.attempt, place)
                    {
                    case .begin:
                        // One that was held up for long is somebody else's soon; it comes again by itself.
                        guard parts.clock.now.advanced(by: parts.lease / 4) < leaseUntil else { return }
                    case .lookAgain: continue
                    case .come(let delay):
                        return try await answer { () throws(BusError) in
                            try await delivery.retry(after: delay)
                        }
                    case .wait(let moment):
                        let queued = delivered.queued
                        if previous == nil {
                            try await answer { () throws(BusError) in try await store.keep(request, of: queued) }
                        }
                        return try await wait(
                            for: moment,
                            previous ?? queued, slot, isNew: previous == nil, delivery)
                    }
                    return try await begin(record, replacing: previous, slot, delivery, request, place, leaseUntil)
                case .postpone(let queued, let delay):
                    if let queued {
                        try await answer { () throws(BusError) in try await store.keep(request, of: queued) }
                        try await answer { () throws(BusError) in try await announcer.announceQueued(queued.status) }
                        _ = try await answer { () throws(BusError) in try await store.write(queued, replacing: slot) }
                    }
                    return try await answer { () throws(BusError) in try await delivery.retry(after: delay) }
                case .finished(let record):
                    try await conclude(record, delivery)
                    return
                case .giveUp(let record, let previous):
                    if let previous {
                        try await answer { () throws(BusError) in
                            try await announcer.announceIfMissing(previous)
                        }
                    } else {
                        try await answer { () throws(BusError) in try await store.keep(request, of: record) }
                        let queued = record.queuedStatus
                        try await answer { () throws(BusError) in try await announcer.announceQueued(queued) }
                    }
                    _ = try await answer { () throws(BusError) in try await store.write(record, replacing: slot) }
                    try await conclude(record, delivery)
                    return
                case .duplicate(let sequence):
                    if try await isQueued(sequence) {
                        Counter(label: "apus_tasks_duplicate_total").increment()
                        return try await answer { () throws(BusError) in try await delivery.acknowledge() }
                    }
                    other = .gone
                case .stale:
                    // Answering it would be answering for whoever has the task now.
                    Counter(label: "apus_tasks_fenced_total").increment()
                    return
                }
            } catch let error as BusError where error.code == .conflict {
                // Somebody wrote in between: what is there now decides.
                continue
            }
        }
    }

    private func delivered(_ delivery: Delivery, _ task: TaskMessage) -> Admission.Delivered {
        Admission.Delivered(
            request: task.request, id: task.id, streamSequence: delivery.sequence,
            delivery: delivery.attempt, storedAt: delivery.storedAt,
            defaultAttempts: parts.tasks[task.request.name]?.maximumAttempts ?? 1,
            worker: parts.worker)
    }

    /// The first attempt of a task that may be taken to have no record, and to begin now: at its first delivery it has none
    /// unless its submission has made one. If there is one nevertheless, the first write says so, and nothing has been told before
    /// that. nil for any other.
    func firstAttempt(_ task: TaskMessage, _ delivery: Delivery) -> TaskRecord? {
        guard delivery.attempt == 1, delivery.message.headers[TaskStore.recordedHeader] == nil,
            !parts.limits.hold(task.request.name),
            case .begin(let record, nil) = Admission.decide(
                delivered(delivery, task), record: nil, now: parts.clock.now)
        else { return nil }
        return record
    }

    /// Notes when the task may begin, so that whoever gets it then begins it.
    private func wait(
        for moment: Timestamp, _ record: TaskRecord, _ slot: TaskSlot, isNew: Bool, _ delivery: Delivery
    ) async throws {
        let (store, announcer, clock) = (parts.store, parts.announcer, parts.clock)
        if isNew { try await answer { () throws(BusError) in try await announcer.announceQueued(record.status) } }
        var waiting = record
        waiting.wait(for: moment)
        let written = waiting
        _ = try await answer { () throws(BusError) in try await store.write(written, replacing: slot) }
        try await answer { () throws(BusError) in
            try await delivery.retry(after: max(.zero, clock.now.duration(to: moment)))
        }
    }

    private func begin(
        _ record: TaskRecord, replacing previous: TaskRecord?, _ slot: TaskSlot, _ delivery: Delivery,
        _ request: TaskRequest, _ place: Place, _ leaseUntil: Timestamp
    ) async throws {
        let (store, announcer) = (parts.store, parts.announcer)
        // Told as soon as the record says that the attempt is ours. Whoever takes it over looks whether it was.
        var unannounced = [record.status]
        if let previous {
            // A queued one was announced before it was written; of any other the announcement may have been lost.
            if previous.state != .queued {
                try await answer { () throws(BusError) in try await announcer.announceIfMissing(previous) }
            }
        } else {
            try await answer { () throws(BusError) in try await store.keep(request, of: record) }
            // Its submission may have told that it is queued, and been lost before it was recorded.
            var isTold = false
            if !slot.isAssumed {
                isTold = try await answer { () throws(BusError) in try await announcer.isTold(record.id) }
            }
            if !isTold { unannounced.insert(record.queuedStatus, at: 0) }
        }
        let started = try await answer { () throws(BusError) in try await store.write(record, replacing: slot) }
        await AttemptRunner(parts: parts, delivery: delivery, request: request)
            .run(started, unannounced: unannounced, in: place, leaseUntil: leaseUntil)
    }

    /// The task is over: makes sure that everybody knows, and takes it from the queue.
    private func conclude(_ record: TaskRecord, _ delivery: Delivery) async throws {
        try await TaskConclusion(parts: parts).carryOut(record, of: delivery.message)
        try await answer { () throws(BusError) in try await delivery.acknowledge() }
    }

    /// Why a task is not to begin: another unfinished one has its unique key, or its group was cancelled.
    private func reasonNotToRun(_ begun: TaskRecord, _ request: TaskRequest) async throws -> String? {
        let (store, clock) = (parts.store, parts.clock)
        if let group = request.links.group {
            let found = try await answer { () throws(BusError) in try await store.group(group.id) }
            if found?.group.isCancelled == true { return "cancelled with its group" }
        }
        let holder = try await answer { () throws(BusError) in
            try await store.claim(request, for: begun.id, now: clock.now)
        }
        return holder.map { "not run: the task \($0) has its unique key and is not finished" }
    }

    private func cancel(
        _ begun: TaskRecord, replacing previous: TaskRecord?, _ slot: TaskSlot, _ delivery: Delivery,
        _ request: TaskRequest, _ reason: String
    ) async throws {
        let (store, announcer, clock) = (parts.store, parts.announcer, parts.clock)
        var ended =
            previous
            ?? TaskRecord(
                queued: request, id: begun.id, maximumAttempts: begun.maximumAttempts,
                streamSequence: delivery.sequence, at: begun.submittedAt)
        ended.cancel(message: reason, at: clock.now)
        let record = ended
        if let previous {
            try await answer { () throws(BusError) in try await announcer.announceIfMissing(previous) }
        } else {
            try await answer { () throws(BusError) in try await store.keep(request, of: record) }
            let queued = record.queuedStatus
            try await answer { () throws(BusError) in try await announcer.announceQueued(queued) }
        }
        _ = try await answer { () throws(BusError) in try await store.write(record, replacing: slot) }
        try await conclude(record, delivery)
    }

    private func isQueued(_ sequence: UInt64) async throws -> Bool {
        let (bus, stream) = (parts.bus, parts.subjects.tasksStream)
        let found = try await answer { () throws(BusError) in
            try await bus.messages(in: stream, subject: nil, after: sequence - 1, limit: 1)
        }
        return found.first?.sequence == sequence
    }

    /// Tries until the bus answers.
    private func answer<Value: Sendable>(
        _ operation: @Sendable () async throws(BusError) -> Value
    ) async throws -> Value {
        try await parts.clock.persist(operation)
    }
}
