internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `tasks.show`: all that is known of a task. `tasks.retry` and `tasks.replay`: a new task of the same request.
struct TaskReplay: Sendable {
    let parts: WorkerParts
    let submission: TaskSubmission

    func show(_ call: RPCRequest) async throws -> JSONValue {
        let record = try await record(call)
        guard case .object(var members) = record.status.json else { return nil }
        members["errors"] = record.errorsJSON
        members["worker"] = record.worker.map { .string($0) }
        members["started_at"] = record.startedAt.map { .string($0.description) }
        members["due"] = record.due.map { .string($0.description) }
        if record.handedBack > 0 { members["handed_back"] = .integer(Int64(record.handedBack)) }
        if let request = try await parts.store.request(of: record), case .object(let asked) = request.json {
            // The status says these as they are; all others are the request's.
            for (name, value) in asked where members[name] == nil && name != "id" { members[name] = value }
        } else if let kept = record.request {
            members["args_omitted"] = true
            members["replay_of"] = kept.request.links.replayOf.map { .string($0.description) }
        }
        return .object(members)
    }

    func replay(_ call: RPCRequest) async throws -> JSONValue {
        let record = try await record(call)
        guard record.state.isFinal else {
            throw RPCError(
                409, "the task is still \(record.state.rawValue): only one that is over is repeated; cancel it first")
        }
        guard let request = try await parts.store.request(of: record) else {
            throw RPCError(409, "what was asked for is not known any more; submit it anew")
        }
        try await QueueBound(parts: parts).refuseIfFull(request.queue)
        let id = try await submission.enqueue(request.repeated(record.id), headers: call.headers)
        return ["task_id": .string(id.description)]
    }

    private func record(_ call: RPCRequest) async throws -> TaskRecord {
        let access = try TaskAccess(call.caller)
        let id = try call.taskID()
        guard let record = try await parts.store.find(id)?.record, access.includes(record.user) else {
            throw RPCError(404, "there is no task \(id)")
        }
        return record
    }
}
