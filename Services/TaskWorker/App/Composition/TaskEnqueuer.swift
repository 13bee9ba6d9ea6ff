internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import TaskWorkerCore

/// Puts tasks into their queues.
///
/// First the message is stored, then `queued` is announced, then the record is made. A worker that is faster than that
/// does the latter two itself; nothing then happens twice, and whatever is lost in between, the task itself is not.
struct TaskEnqueuer: Sendable {
    let parts: WorkerParts

    func enqueue(_ request: TaskRequest, _ id: TaskID, headers: BusHeaders = [:]) async throws(BusError) {
        try await store(request, id, headers, isNew: true)
    }

    private func store(
        _ request: TaskRequest, _ id: TaskID, _ headers: BusHeaders, isNew: Bool
    ) async throws(BusError) {
        let now = parts.clock.now
        var request = request
        request.id = id
        request.fixTimes(submittedAt: now)
        var message = BusMessage(
            subject: parts.subjects.task(queue: request.queue, name: request.name),
            payload: request.json.serialized())
        message.headers[HeaderName.messageID] = id.description
        message.headers[TaskStore.recordedHeader] = "1"
        for name in [HeaderName.traceParent, HeaderName.traceState] { message.headers[name] = headers[name] }
        let receipt = try await parts.bus.append(message)
        guard !receipt.isDuplicate else { return }
        let queued = TaskRecord(
            queued: request, id: id,
            maximumAttempts: request.maximumAttempts ?? parts.tasks[request.name]?.maximumAttempts ?? 1,
            streamSequence: receipt.sequence, at: now)
        await record(queued, request, isNew: isNew)
    }

    /// As ``enqueue(_:_:headers:)``, for a task whose id says which it is: one that was put into its queue before, however
    /// long ago, is not put there again.
    /// - Returns: its record, if it was there.
    func enqueueOnce(
        _ request: TaskRequest, _ id: TaskID, headers: BusHeaders = [:]
    ) async throws(BusError) -> TaskRecord? {
        // Within the stream's duplicate window its message tells, and beyond it the record.
        if let record = try await parts.store.slot(user: request.user, id: id).record { return record }
        try await store(request, id, headers, isNew: false)
        return nil
    }

    /// The task is in its queue, whatever happens here: what fails now, the worker that gets it does.
    private func record(_ queued: TaskRecord, _ request: TaskRequest, isNew: Bool) async {
        do throws(BusError) {
            let slot = try await parts.store.slot(user: queued.user, id: queued.id)
            guard slot.revision == nil else { return }
            try await parts.store.keep(request, of: queued)
            if let expiry = request.expiry(submittedAt: queued.submittedAt) {
                let book = ExpiryBook(bus: parts.bus, subjects: parts.subjects)
                try await book.note(queued, expiring: expiry, now: parts.clock.now)
            }
            if isNew {
                try await parts.announcer.announce(queued.status)
            } else {
                try await parts.announcer.announceQueued(queued.status)
            }
            _ = try await parts.store.write(queued, replacing: slot)
        } catch {
            parts.logger.debug("a queued task was not recorded by its submission", metadata: ["error": "\(error)"])
        }
    }
}
