internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `tasks.group`: tasks that run side by side, and one that runs when all have ended. `tasks.group.get`: how far they are.
/// `tasks.group.cancel`: ends those that have not, without the one that follows.
struct TaskGroupCalls: Sendable {
    let parts: WorkerParts
    let makeID: @Sendable (Timestamp) -> TaskID

    func submit(_ call: RPCRequest) async throws -> JSONValue {
        let access = try TaskAccess(call.caller)
        let tasks = try tasks(call)
        var callback: TaskRequest?
        if let value = call.parameters["then"], !value.isNull { callback = try TaskGroupCalls.request(value, "then") }
        let user = try user(of: tasks, callback, call.caller)
        guard access.includes(user), access.includes(callback?.user ?? user) else {
            throw RPCError(403, "user must be yourself: only an administrator submits tasks for others")
        }
        let id = try groupID(call, access)
        let group: TaskGroup
        if let there = try await parts.store.group(id)?.group {
            // The same call again, since its answer was lost.
            guard there.user == user, there.members.count == tasks.count else {
                throw RPCError(409, "there is a group \(id) of other tasks")
            }
            group = there
        } else {
            for (queue, tasks) in Dictionary(grouping: tasks, by: \.queue).sorted(by: { $0.key < $1.key }) {
                try await QueueBound(parts: parts).refuseIfFull(queue, for: tasks.count)
            }
            group = TaskGroup(
                id: id, user: user, count: tasks.count, callback: callback, createdAt: parts.clock.now)
            try await form(TaskStore.FormingGroup(group: group, tasks: tasks))
        }
        return [
            "group_id": .string(group.id.description),
            "task_ids": .array(group.members.indices.map { .string(group.taskID($0).description) }),
            "then": group.callbackID.map { .string($0.description) } ?? .null,
        ]
    }

    private func form(_ forming: TaskStore.FormingGroup) async throws {
        do throws(BusError) {
            try await parts.store.keep(forming)
        } catch {
            guard error.code == .payloadTooLarge else { throw error }
            throw RPCError(400, "the group is larger than a message on the bus may be; make it of fewer tasks")
        }
        try await GroupForming(parts: parts).form(forming)
    }

    private func groupID(_ call: RPCRequest, _ access: TaskAccess) throws(RPCError) -> TaskID {
        guard let value = call.parameters["id"], !value.isNull else { return makeID(parts.clock.now) }
        guard access == .all, let given = value.stringValue.flatMap(TaskID.init) else {
            throw RPCError(400, "id is the group's own, given by backends only: letters, digits, _, - and dots")
        }
        return given
    }

    func get(_ call: RPCRequest) async throws -> JSONValue { try await group(call).status }

    func cancel(_ call: RPCRequest) async throws -> JSONValue {
        let id = try await group(call).id
        let cancellation = GroupCancellation(parts: parts)
        guard let progress = try await cancellation.cancel(id, patience: GroupCancellation.patience) else {
            throw RPCError(404, "there is no group \(id)")
        }
        guard progress.group.isCancelled else {
            let then =
                progress.group.callbackID.map { "; what runs now is its callback \($0), which tasks.cancel ends" } ?? ""
            throw RPCError(409, "all tasks of the group have ended\(then)")
        }
        return [
            "group_id": .string(id.description), "cancelled": .integer(Int64(progress.ended)),
            "remaining": .integer(Int64(progress.remaining)),
        ]
    }

    /// The group that is meant, if the caller may see it.
    private func group(_ call: RPCRequest) async throws -> TaskGroup {
        let access = try TaskAccess(call.caller)
        guard let id = call.parameters["group_id"]?.stringValue.flatMap(TaskID.init) else {
            throw RPCError(400, "group_id must be the id of a group, as tasks.group gives it")
        }
        guard let group = try await parts.store.group(id)?.group, access.includes(group.user) else {
            throw RPCError(404, "there is no group \(id)")
        }
        return group
    }

    // MARK: Parameters

    private func tasks(_ call: RPCRequest) throws -> [TaskRequest] {
        guard let items = call.parameters["tasks"]?.arrayValue, (1...TaskGroup.limit).contains(items.count) else {
            throw RPCError(400, "tasks must be a list of 1 to \(TaskGroup.limit) tasks")
        }
        return try items.enumerated().map { try TaskGroupCalls.request($1, "tasks[\($0)]") }
    }

    private static func request(_ json: JSONValue, _ field: String) throws -> TaskRequest {
        let request: TaskRequest
        do throws(TaskRequest.Invalid) {
            request = try TaskRequest(json: json)
        } catch {
            throw RPCError(400, "\(field): \(error)")
        }
        let member = request.id == nil ? request.links.reservedMember : "id"
        if let member {
            throw RPCError(400, "\(field): \(member) is not to be given: the worker makes it")
        }
        return request
    }

    /// A group is one user's, so that its end can be told to somebody.
    private func user(of tasks: [TaskRequest], _ callback: TaskRequest?, _ caller: Caller) throws -> String? {
        var users = Set(tasks.compactMap(\.user))
        if users.isEmpty, let user = callback?.user ?? caller.user { users = [user] }
        guard users.count <= 1 else { throw RPCError(400, "the tasks of a group are all of one user") }
        if let user = users.first, !TaskRequest.isUser(user) {
            throw RPCError(400, "user cannot be a channel's name, so nobody could follow the tasks")
        }
        return users.first
    }
}
