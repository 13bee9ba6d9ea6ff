internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// What can be asked of the worker over the bus, and whether a client may follow a task.
struct TaskCalls: Service {
    let parts: WorkerParts
    let service: MicroService

    init(
        parts: WorkerParts, service: MicroService, scheduler: Scheduler,
        makeID: @escaping @Sendable (Timestamp) -> TaskID
    ) {
        self.parts = parts
        self.service = service
        let submission = TaskSubmission(parts: parts, makeID: makeID)
        let cancellation = TaskCancellation(parts: parts)
        let listing = TaskListing(parts: parts)
        let groups = TaskGroupCalls(parts: parts, makeID: makeID)
        let replay = TaskReplay(parts: parts, submission: submission)
        let letters = DeadLetterCalls(parts: parts, submission: submission)
        add("tasks.submit") { try await submission.submit($0) }
        add("tasks.cancel") { try await cancellation.cancel($0) }
        add("tasks.list") { try await listing.list($0) }
        add("tasks.group") { try await groups.submit($0) }
        add("tasks.group.get") { try await groups.get($0) }
        add("tasks.group.cancel") { try await groups.cancel($0) }
        add("schedules.list") { try await scheduler.list($0) }
        add("tasks.show") { try await replay.show($0) }
        add("tasks.retry") { try await replay.replay($0) }
        add("tasks.replay") { try await replay.replay($0) }
        add("dead.list") { try await letters.list($0) }
        add("dead.show") { try await letters.show($0) }
        add("dead.replay") { try await letters.replay($0) }
        add("dead.purge") { try await letters.purge($0) }
        add("tasks.get") { [parts] call in
            let access = try TaskAccess(call.caller)
            let id = try call.taskID()
            guard let record = try await parts.store.find(id)?.record, access.includes(record.user) else {
                throw RPCError(404, "there is no task \(id)")
            }
            return record.status.json
        }
        QueueCalls(parts: parts).add { add($0, $1) }
        service.hook(.subscribe, namespace: "task") { [parts] call in
            try await TaskCalls.explainingOutages {
                guard let channel = call.parameters["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
                    channel.namespace == "task", let id = TaskID(channel.name)
                else { throw RPCError(400, "the channel of a task is task:<id>") }
                let access = try TaskAccess(call.caller)
                guard let record = try await parts.store.find(id)?.record, access.includes(record.user) else {
                    throw RPCError(403, "this task is not yours, or there is none")
                }
                return [:]
            }
        }
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown { [service] in try await service.run() }
    }

    private func add(_ method: String, _ handler: @escaping @Sendable (RPCRequest) async throws -> JSONValue) {
        service.rpc(method) { call in try await TaskCalls.explainingOutages { try await handler(call) } }
    }

    /// A bus that is away for a moment is no error of the service.
    private static func explainingOutages(
        _ handler: @Sendable () async throws -> JSONValue
    ) async throws -> JSONValue {
        do {
            return try await handler()
        } catch let error as BusError where error.isRetryable {
            throw RPCError(503, "the bus is not available at the moment; try again")
        }
    }
}

extension RPCRequest {
    func taskID() throws(RPCError) -> TaskID {
        guard let id = parameters["task_id"]?.stringValue.flatMap(TaskID.init) else {
            throw RPCError(400, "task_id must be the id of a task, as tasks.submit gives it")
        }
        return id
    }
}
