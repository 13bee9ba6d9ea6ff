internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// What administrators and backends can ask about queues: `queues.list`, `queues.pause`, `queues.resume`,
/// `queues.purge`.
struct QueueCalls: Sendable {
    let parts: WorkerParts

    func add(to add: (String, @escaping @Sendable (RPCRequest) async throws -> JSONValue) -> Void) {
        let (parts, survey, purge) = (parts, QueueSurvey(parts: parts), QueuePurge(parts: parts))
        add("queues.list") { call in
            try TaskAccess.requireAll(call.caller)
            let figures = try await survey.all()
            let now = parts.clock.now
            return ["queues": .array(figures.map { $0.json(now: now) })]
        }
        add("queues.pause") { call in
            let queue = try call.queue()
            try await parts.queues.change(queue) { $0.isPaused = true }
            return ["queue": .string(queue), "paused": true]
        }
        add("queues.resume") { call in
            let queue = try call.queue()
            try await parts.queues.change(queue) { $0.isPaused = false }
            return ["queue": .string(queue), "paused": false]
        }
        add("queues.purge") { call in try await purge.run(call.queue()) }
    }
}

extension TaskAccess {
    /// - Throws: 403 for whoever may not see all tasks.
    static func requireAll(_ caller: Caller) throws(RPCError) {
        guard try TaskAccess(caller) == .all else { throw RPCError(403, "only an administrator may do this") }
    }
}

extension RPCRequest {
    /// The queue that is meant, for those who may change it.
    fileprivate func queue() throws(RPCError) -> String {
        try TaskAccess.requireAll(caller)
        guard let queue = parameters["queue"]?.stringValue, TaskRequest.isQueue(queue) else {
            throw RPCError(400, "queue must be the name of a queue: 1 to 64 letters, digits, _ and -")
        }
        return queue
    }
}
