internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `tasks.list {user, status, limit, before}`: tasks, newest first. `before` is the `next` of an earlier answer.
struct TaskListing: Sendable {
    static let limits = 1...200
    static let defaultLimit = 50
    /// How many records are read to learn when tasks were submitted whose ids do not tell.
    private static let maximumUnordered = 2000
    /// Results larger than this are left out of lists; `tasks.get` gives them.
    private static let maximumResultLength = 4096

    let parts: WorkerParts

    private struct Filter {
        var user: String?
        var state: TaskState?
        var limit: Int
        var before: TaskID?
    }

    func list(_ call: RPCRequest) async throws -> JSONValue {
        let filter = try filter(call)
        var tasks: [JSONValue] = []
        var next: JSONValue = nil
        for key in try await ordered(filter) {
            guard let record = try await parts.store.record(key) else { continue }
            if let state = filter.state, record.state != state { continue }
            if tasks.count == filter.limit {
                next = tasks.last?["task_id"] ?? nil
                break
            }
            tasks.append(TaskListing.json(record))
        }
        return ["tasks": .array(tasks), "next": next]
    }

    private func filter(_ call: RPCRequest) throws(RPCError) -> Filter {
        let access = try TaskAccess(call.caller)
        let parameters = call.parameters
        func present(_ name: String) -> JSONValue? {
            guard let value = parameters[name], !value.isNull else { return Optional.none }
            return value
        }
        var filter = Filter(limit: TaskListing.defaultLimit)
        if let value = present("user") {
            guard let user = value.stringValue ?? value.integerValue.map(String.init) else {
                throw RPCError(400, "user must be a string, not \(value.kindDescription)")
            }
            filter.user = user
        }
        if case .user(let own) = access {
            guard filter.user == nil || filter.user == own else {
                throw RPCError(403, "user must be yourself: only an administrator lists others' tasks")
            }
            filter.user = own
        }
        if let value = present("status") {
            guard let state = value.stringValue.flatMap(TaskState.init) else {
                let all = TaskState.allCases.map(\.rawValue).joined(separator: ", ")
                throw RPCError(400, "status must be one of \(all)")
            }
            filter.state = state
        }
        if let value = present("limit") {
            guard let limit = value.integerValue, limit >= 1 else {
                throw RPCError(400, "limit must be a whole number from 1 to \(TaskListing.limits.upperBound)")
            }
            filter.limit = Int(min(limit, Int64(TaskListing.limits.upperBound)))
        }
        if let value = present("before") {
            guard let id = value.stringValue.flatMap(TaskID.init) else {
                throw RPCError(400, "before must be the id of a task, the next of an earlier list")
            }
            filter.before = id
        }
        return filter
    }

    /// The keys of the tasks that may be listed, newest first, those up to `before` left out.
    private func ordered(_ filter: Filter) async throws -> [TaskKey] {
        var dated: [(moment: Timestamp, key: TaskKey)] = []
        var unordered = 0
        for key in try await parts.store.keys(user: filter.user) {
            if let moment = key.id.moment {
                dated.append((moment, key))
            } else if unordered < TaskListing.maximumUnordered {
                unordered += 1
                if let record = try await parts.store.record(key) { dated.append((record.submittedAt, key)) }
            }
        }
        dated.sort { ($0.moment, $0.key.id.description) > ($1.moment, $1.key.id.description) }
        guard let before = filter.before else { return dated.map(\.key) }
        guard let index = dated.firstIndex(where: { $0.key.id == before }) else {
            // The task is gone by now; if its id tells its time, the list goes on from there.
            guard let moment = before.moment else { return [] }
            return dated.filter { $0.moment < moment }.map(\.key)
        }
        return dated[(index + 1)...].map(\.key)
    }

    private static func json(_ record: TaskRecord) -> JSONValue {
        var status = record.status
        let isLarge = status.result.serialized().count > maximumResultLength
        if isLarge { status.result = nil }
        guard isLarge, case .object(var members) = status.json else { return status.json }
        members["result_omitted"] = true
        return .object(members)
    }
}
