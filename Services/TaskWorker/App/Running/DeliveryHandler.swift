internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import Metrics
internal import TaskWorkerCore

/// Takes one message of a queue from delivery to answer.
struct DeliveryHandler: Sendable {
    let parts: WorkerParts

    /// Never throws: a message that could not be dealt with is left unanswered and comes again.
    func handle(_ delivery: Delivery) async {
        let leaseUntil = parts.clock.now.advanced(by: parts.lease)
        do {
            let request: TaskRequest
            do throws(Malformed) {
                request = try read(delivery.message)
            } catch {
                return try await discard(delivery, error)
            }
            try await admit(delivery, request, leaseUntil: leaseUntil)
        } catch {
            parts.logger.warning(
                "a task could not be dealt with; it comes again",
                metadata: ["task.name": "\(delivery.message.subject)", "error": "\(error)"])
        }
    }

    // MARK: Reading

    /// Why a message is no task.
    private struct Malformed: Error {
        let name: String
        let reason: String
    }

    private func read(_ message: BusMessage) throws(Malformed) -> TaskRequest {
        guard let address = parts.subjects.task(ofSubject: message.subject) else {
            throw Malformed(name: "unnamed", reason: "the subject is not \(parts.subjects.prefix).task.<queue>.<name>")
        }
        do {
            let json = message.payload.isEmpty ? [:] : try JSONValue(parsing: message.payload)
            return try TaskRequest(json: json, address: address)
        } catch let error as JSONError {
            throw Malformed(name: address.name, reason: "the payload is not JSON: \(error)")
        } catch {
            throw Malformed(name: address.name, reason: "the task is malformed: \(error)")
        }
    }

    private func discard(_ delivery: Delivery, _ malformed: Malformed) async throws {
        Counter(label: "apus_tasks_malformed_total").increment()
        parts.logger.warning("a malformed task is kept as a dead letter", metadata: ["reason": "\(malformed.reason)"])
        try await parts.bury(
            delivery.message, name: malformed.name, reason: malformed.reason, attempts: delivery.attempt)
        try await answer { () throws(BusError) in try await delivery.acknowledge() }
    }

    /// The id that the message says, or the same one at every delivery.
    private func id(_ delivery: Delivery, _ request: TaskRequest) -> TaskID {
        request.id ?? delivery.message.headers[HeaderName.messageID].flatMap(TaskID.init)
            ?? .derived(storedAt: delivery.storedAt, sequence: delivery.sequence)
    }

    // MARK: Admission

    private func admit(_ delivery: Delivery, _ request: TaskRequest, leaseUntil: Timestamp) async throws {
        let delivered = Admission.Delivered(
            request: request, id: id(delivery, request), streamSequence: delivery.sequence,
            delivery: delivery.attempt, storedAt: delivery.storedAt,
            defaultAttempts: parts.tasks[request.name]?.maximumAttempts ?? 1,
            worker: parts.worker)
        let (store, announcer) = (parts.store, parts.announcer)
        var other = Admission.OtherMessage.unknown
        while true {
            let slot = try await answer { () throws(BusError) in
                try await store.slot(user: request.user, id: delivered.id)
            }
            do {
                switch Admission.decide(delivered, record: slot.record, other: other, now: parts.clock.now) {
                case .begin(let record, let previous):
                    return try await begin(record, replacing: previous, slot, delivery, request, leaseUntil)
                case .postpone(let queued, let delay):
                    if let queued {
                        try await answer { () throws(BusError) in try await announcer.announce(queued.status) }
                        _ = try await answer { () throws(BusError) in try await store.write(queued, replacing: slot) }
                    }
                    return try await answer { () throws(BusError) in try await delivery.retry(after: delay) }
                case .finished(let record):
                    try await conclude(record, delivery)
                    return
                case .giveUp(let record, let previous):
                    try await answer { () throws(BusError) in try await announcer.announceIfMissing(previous.status) }
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

    private func begin(
        _ record: TaskRecord, replacing previous: TaskRecord?, _ slot: TaskSlot, _ delivery: Delivery,
        _ request: TaskRequest, _ leaseUntil: Timestamp
    ) async throws {
        let (store, announcer) = (parts.store, parts.announcer)
        if let previous {
            // A queued one was announced before it was written; of any other the announcement may have been lost.
            if previous.state != .queued {
                try await answer { () throws(BusError) in try await announcer.announceIfMissing(previous.status) }
            }
        } else {
            var queued = record.status
            (queued.state, queued.attempt, queued.sequence, queued.updatedAt) = (.queued, 0, 0, queued.submittedAt)
            let status = queued
            try await answer { () throws(BusError) in try await announcer.announce(status) }
        }
        let started = try await answer { () throws(BusError) in try await store.write(record, replacing: slot) }
        let clock = parts.clock
        try await clock.persist(while: { clock.now < leaseUntil }) { () throws(BusError) in
            try await announcer.announce(record.status)
        }
        var logger = parts.logger
        logger[metadataKey: "task.id"] = "\(record.id)"
        logger[metadataKey: "task.name"] = "\(record.name)"
        logger[metadataKey: "task.attempt"] = "\(record.attempt)"
        await AttemptRunner(parts: parts, delivery: delivery, request: request, logger: logger)
            .run(started, leaseUntil: leaseUntil)
    }

    /// The task is over: makes sure that everybody knows, and takes it from the queue.
    private func conclude(_ record: TaskRecord, _ delivery: Delivery) async throws {
        let announcer = parts.announcer
        let isAnnounced = try await answer { () throws(BusError) in try await announcer.isAnnounced(record.status) }
        if !isAnnounced {
            // A failed task is among the dead letters before it is announced.
            if record.state == .failed {
                try await parts.bury(
                    delivery.message, name: record.name, reason: record.message ?? "failed", attempts: record.attempt)
            }
            try await answer { () throws(BusError) in try await announcer.announce(record.status) }
        }
        try await answer { () throws(BusError) in try await delivery.acknowledge() }
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
