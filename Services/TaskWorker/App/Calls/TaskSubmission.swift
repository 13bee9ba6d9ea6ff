internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import Metrics
internal import TaskWorkerCore

/// `tasks.submit`: puts a task into its queue.
///
/// First the message is stored, then `queued` is announced, then the record is made. A worker that is faster than that
/// does the latter two itself; nothing then happens twice, and whatever is lost in between, the task itself is not.
struct TaskSubmission: Sendable {
    let parts: WorkerParts
    let makeID: @Sendable (Timestamp) -> TaskID

    func submit(_ call: RPCRequest) async throws -> JSONValue {
        let access = try TaskAccess(call.caller)
        var request: TaskRequest
        do throws(TaskRequest.Invalid) {
            request = try TaskRequest(json: call.parameters)
        } catch {
            throw RPCError(400, error.description)
        }
        if request.id != nil, access != .all { throw RPCError(400, "id is not to be given: the worker makes it") }
        if request.user == nil { request.user = call.caller.user }
        guard access.includes(request.user) else {
            throw RPCError(403, "user must be yourself: only an administrator submits tasks for others")
        }
        if let user = request.user, !TaskRequest.isUser(user) {
            throw RPCError(400, "user cannot be a channel's name, so nobody could follow the task")
        }
        let now = parts.clock.now
        let id = request.id ?? makeID(now)
        request.id = id
        request.fixTimes(submittedAt: now)
        try await refuseIfFull(request.queue)
        let receipt = try await store(request, id, call.headers)
        if !receipt.isDuplicate {
            let queued = TaskRecord(
                queued: request, id: id,
                maximumAttempts: request.maximumAttempts ?? parts.tasks[request.name]?.maximumAttempts ?? 1,
                streamSequence: receipt.sequence, at: now)
            await record(queued)
        }
        return ["task_id": .string(id.description)]
    }

    /// A queue that is bounded may still take a few more when several submit at the same moment.
    private func refuseIfFull(_ queue: String) async throws {
        guard let limit = parts.rules.limit(queue) else { return }
        let counts = try await parts.bus.subjectCounts(
            in: parts.subjects.tasksStream, matching: parts.subjects.tasks(queue: queue))
        let count = counts.values.reduce(0, +)
        guard count >= UInt64(limit) else { return }
        Counter(label: "apus_tasks_refused_total", dimensions: [("queue", queue)]).increment()
        throw RPCError(
            503, "the queue \(queue) is full: it holds \(count) tasks and takes \(limit); try again when some are done")
    }

    private func store(_ request: TaskRequest, _ id: TaskID, _ headers: BusHeaders) async throws -> AppendReceipt {
        var message = BusMessage(
            subject: parts.subjects.task(queue: request.queue, name: request.name),
            payload: request.json.serialized())
        message.headers[HeaderName.messageID] = id.description
        message.headers[TaskStore.recordedHeader] = "1"
        for name in [HeaderName.traceParent, HeaderName.traceState] { message.headers[name] = headers[name] }
        do throws(BusError) {
            return try await parts.bus.append(message)
        } catch {
            throw switch error.code {
            case .payloadTooLarge: RPCError(400, "args are larger than a message on the bus may be")
            case .streamFull: RPCError(503, "the queue is full; try again later")
            default: RPCError(503, "the task could not be stored; try again")
            }
        }
    }

    /// The task is in its queue, whatever happens here: what fails now, the worker that gets it does.
    private func record(_ queued: TaskRecord) async {
        do throws(BusError) {
            let slot = try await parts.store.slot(user: queued.user, id: queued.id)
            guard slot.revision == nil else { return }
            try await parts.announcer.announce(queued.status)
            _ = try await parts.store.write(queued, replacing: slot)
        } catch {
            parts.logger.debug("a queued task was not recorded by its submission", metadata: ["error": "\(error)"])
        }
    }
}
