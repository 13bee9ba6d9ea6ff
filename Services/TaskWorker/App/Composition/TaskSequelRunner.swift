internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import TaskWorkerCore

/// Does what follows a task's end, before its message is acknowledged: the next of its chain, its mark in its group, the
/// group's callback.
///
/// Whoever is killed in the middle is followed by whoever gets the message next, who does all of it again; every step is
/// named by the final record, so that it then finds its work done.
struct TaskSequelRunner: Sendable {
    let parts: WorkerParts

    /// - Parameter headers: those of the task's message, for the trace.
    func settle(_ record: TaskRecord, headers: BusHeaders = [:]) async throws {
        var current = record
        while let kept = current.request, kept.isAbridged || kept.request.links.hasSequel {
            let (store, ended) = (parts.store, current)
            let whole = try await parts.clock.persist { () throws(BusError) in try await store.request(of: ended) }
            if whole == nil, ended.state == .completed {
                parts.logger.error(
                    "a task's request is not known any more; a chain ends here",
                    metadata: ["task.id": "\(ended.id)"])
            }
            // Without the request there is no chain; the place in a group is in the record.
            switch TaskSequel.decide(ended, whole ?? kept.request) {
            case .nothing: return
            case .groupMember(let place): return try await note(ended, at: place, headers)
            case .next(let next):
                // One that cannot even be queued has failed, and its end may end its group's member.
                guard let failed = try await enqueue(next, headers) else { return }
                current = failed
            }
        }
    }

    // MARK: Groups

    private func note(_ record: TaskRecord, at place: TaskLinks.GroupPlace, _ headers: BusHeaders) async throws {
        let (store, now) = (parts.store, parts.clock.now)
        let noted: TaskGroup? = try await parts.clock.persist { () throws(BusError) in
            try await store.changeGroup(place.id) { $0.end(place.index, as: record.state, with: record.id, at: now) }
        }
        guard let group = noted else {
            return parts.logger.error(
                "a task's group is not known any more", metadata: ["task.id": "\(record.id)", "group": "\(place.id)"])
        }
        guard group.isFinished, !group.isCancelled, group.callback != nil else { return }
        guard let callback = group.callbackRequest(results: try await results(of: group)) else { return }
        if let failed = try await enqueue(callback, headers) { try await settle(failed, headers: headers) }
    }

    /// What each member gave, null for those that gave nothing; nil if that is too long for a message.
    private func results(of group: TaskGroup) async throws -> [JSONValue]? {
        guard group.callback?.links.previous != nil else { return nil }
        let store = parts.store
        var results: [JSONValue] = []
        var length = 0
        for index in group.members.indices {
            let id = group.lastTaskID(index)
            let record = try await parts.clock.persist { () throws(BusError) in
                try await store.slot(user: group.user, id: id).record
            }
            let result = record?.result ?? .null
            length += result.serialized().count
            guard length <= TaskGroup.maximumResultsLength else { return nil }
            results.append(result)
        }
        return results
    }

    // MARK: The next task

    /// Puts a task that follows into its queue, unless it was put there before. Tries until the bus takes it.
    /// - Returns: its record if it cannot be queued and has failed of that.
    private func enqueue(_ request: TaskRequest, _ headers: BusHeaders) async throws -> TaskRecord? {
        guard let id = request.id else { return nil }
        let enqueuer = TaskEnqueuer(parts: parts)
        do {
            let record = try await parts.clock.persist { () throws(BusError) in
                try await enqueuer.enqueueOnce(request, id, headers: headers)
            }
            return record.flatMap { $0.attempt == 0 && $0.state == .failed ? $0 : nil }
        } catch let error as BusError where error.code == .payloadTooLarge {
            return try await fail(request, id)
        }
    }

    private func fail(_ request: TaskRequest, _ id: TaskID) async throws -> TaskRecord {
        var short = request
        if let name = short.links.previous { short.arguments[name] = nil }
        let now = parts.clock.now
        var record = TaskRecord(
            queued: short, id: id, maximumAttempts: request.maximumAttempts ?? 1, streamSequence: nil, at: now)
        record.fail(
            message: "with the result of the task before, the arguments are larger than a message on the bus may be; "
                + "store the result elsewhere and return where",
            at: now)
        let (failed, asked, store, announcer) = (record, short, parts.store, parts.announcer)
        try await parts.clock.persist { () throws(BusError) in
            let slot = try await store.slot(user: failed.user, id: id)
            guard slot.record == nil else { return }
            try await store.keep(asked, of: failed)
            _ = try await store.write(failed, replacing: slot)
        }
        let message = BusMessage(
            subject: parts.subjects.task(queue: short.queue, name: short.name), payload: short.json.serialized())
        try await parts.buryIfMissing(message, of: failed)
        try await parts.clock.persist { () throws(BusError) in try await announcer.announceIfMissing(failed) }
        return failed
    }
}
