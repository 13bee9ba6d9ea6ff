internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `tasks.submit`: puts a task into its queue.
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
        if let member = request.links.reservedMember {
            throw RPCError(400, "\(member) is not to be given: the worker writes it")
        }
        try checkChain(request, access)
        let id = request.id ?? makeID(parts.clock.now)
        request.id = id
        // A task that finds no place in its queue must not take the key from those that do.
        try await QueueBound(parts: parts).refuseIfFull(request.queue)
        if let holder = try await parts.store.claim(request, for: id, now: parts.clock.now) {
            guard request.links.uniquePolicy == .return else {
                throw RPCError(409, "the task \(holder) has this unique key and is not finished")
            }
            return ["task_id": .string(holder.description), "existing": true]
        }
        do {
            _ = try await enqueue(request, headers: call.headers)
        } catch {
            // If it is in its queue all the same, it claims the key again when its turn comes.
            try? await parts.store.release(request, by: id, now: parts.clock.now)
            throw error
        }
        return ["task_id": .string(id.description)]
    }

    /// Puts a task into its queue, under its id if it has one.
    func enqueue(_ request: TaskRequest, headers: BusHeaders) async throws -> TaskID {
        let id = request.id ?? makeID(parts.clock.now)
        do throws(BusError) {
            try await TaskEnqueuer(parts: parts).enqueue(request, id, headers: headers)
        } catch {
            throw switch error.code {
            case .payloadTooLarge: RPCError(400, "args are larger than a message on the bus may be")
            case .streamFull: RPCError(503, "the queue is full; try again later")
            default: RPCError(503, "the task could not be stored; try again")
            }
        }
        return id
    }

    /// Checks the tasks of a chain, which are the user's as the first one is unless they say otherwise.
    private func checkChain(_ request: TaskRequest, _ access: TaskAccess) throws(RPCError) {
        for (index, next) in request.links.chain.enumerated() {
            guard access.includes(next.user ?? request.user) else {
                throw RPCError(
                    403, "chain[\(index)].user must be yourself: only an administrator submits tasks for others")
            }
        }
    }
}
