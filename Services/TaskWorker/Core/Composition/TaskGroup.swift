package import Events
package import JSON

/// A group of tasks, and how far it has come: which of its members have ended, and what runs when all have.
///
/// Kept in the bucket and changed by compare-and-set, once per member. Noting an end twice changes nothing.
package struct TaskGroup: Sendable, Hashable {
    package static let limit = 2000
    /// How many bytes of results the callback gets; with more it gets none.
    package static let maximumResultsLength = 400 * 1024

    /// What has become of a member, one letter each in the record.
    package enum Member: String, Sendable, Hashable, CaseIterable {
        case unfinished = "."
        case completed = "c"
        case failed = "f"
        case cancelled = "x"

        package init(_ state: TaskState) {
            self =
                switch state {
                case .completed: .completed
                case .failed: .failed
                case .cancelled: .cancelled
                case .queued, .started, .processing, .retrying: .unfinished
                }
        }

        /// As it is told.
        package var name: String {
            switch self {
            case .unfinished: "unfinished"
            case .completed: "completed"
            case .failed: "failed"
            case .cancelled: "cancelled"
            }
        }
    }

    package let id: TaskID
    /// Whose group it is, and whose its tasks are.
    package let user: String?
    package let createdAt: Timestamp
    /// What runs when all have ended.
    package let callback: TaskRequest?
    package private(set) var members: [Member]
    /// The tasks with which chains have ended, by the member's index; all other members are one task.
    package private(set) var lastTasks: [Int: TaskID]
    package private(set) var finishedAt: Timestamp?
    /// Since when no task of it begins any more, and the callback does not run.
    package private(set) var cancelledAt: Timestamp?

    package init(id: TaskID, user: String?, count: Int, callback: TaskRequest?, createdAt: Timestamp) {
        self.id = id
        self.user = user
        self.createdAt = createdAt
        self.callback = callback
        members = Array(repeating: .unfinished, count: count)
        lastTasks = [:]
        finishedAt = nil
        cancelledAt = nil
    }

    package var isFinished: Bool { finishedAt != nil }
    package var isCancelled: Bool { cancelledAt != nil }

    package func count(_ member: Member) -> Int { members.count { $0 == member } }

    /// The members that have not ended.
    package var unfinished: [Int] { members.indices.filter { members[$0] == .unfinished } }

    /// The id of the task that is member `index`, or that its chain begins with.
    package func taskID(_ index: Int) -> TaskID { .derived(from: "group/\(id)/\(index)", at: createdAt) }

    /// The id of the task that is member `index`, or that its chain has ended with.
    package func lastTaskID(_ index: Int) -> TaskID { lastTasks[index] ?? taskID(index) }

    package var callbackID: TaskID? {
        callback == nil ? nil : .derived(from: "group/\(id)/then", at: createdAt)
    }

    /// Notes that member `index` has ended with the task `task`.
    /// - Returns: whether that changed anything. A member that has ended stays as it has.
    package mutating func end(_ index: Int, as state: TaskState, with task: TaskID, at now: Timestamp) -> Bool {
        guard members.indices.contains(index), members[index] == .unfinished, state.isFinal else { return false }
        members[index] = Member(state)
        if task != taskID(index) { lastTasks[index] = task }
        if !members.contains(.unfinished) { finishedAt = now }
        return true
    }

    /// Ends the group before its members have ended, unless they have.
    /// - Returns: whether that changed anything.
    package mutating func cancel(at now: Timestamp) -> Bool {
        guard !isFinished, !isCancelled else { return false }
        cancelledAt = now
        return true
    }

    /// The member `index` as a task to be put into its queue.
    package func request(_ index: Int, _ request: TaskRequest) -> TaskRequest {
        var request = request
        request.id = taskID(index)
        request.user = user
        request.links.group = TaskLinks.GroupPlace(id: id, index: index)
        return request
    }

    /// What is to run now that all have ended; nil if nothing is, not all have, or the group was cancelled.
    /// - Parameter results: of each member; nil if they are too long.
    package func callbackRequest(results: [JSONValue]?) -> TaskRequest? {
        guard isFinished, !isCancelled, var request = callback else { return nil }
        request.id = callbackID
        request.user = request.user ?? user
        if request.arguments["group"] == nil, case .object(var group) = summary {
            group["states"] = .array(members.map { .string($0.name) })
            request.arguments["group"] = .object(group)
        }
        if let name = request.links.previous, request.arguments[name] == nil {
            request.arguments[name] = results.map { .array($0) } ?? .null
        }
        return request
    }

    private var summary: JSONValue {
        [
            "group_id": .string(id.description), "total": .integer(Int64(members.count)),
            "completed": .integer(Int64(count(.completed))), "failed": .integer(Int64(count(.failed))),
            "cancelled": .integer(Int64(count(.cancelled))),
        ]
    }

    /// What `tasks.group.get` answers.
    package var status: JSONValue {
        guard case .object(var status) = summary else { return .null }
        status["status"] = isFinished ? "finished" : "unfinished"
        status["user"] = user.map { .string($0) }
        status["created_at"] = .string(createdAt.description)
        status["finished_at"] = finishedAt.map { .string($0.description) } ?? .null
        status["cancelled_at"] = cancelledAt.map { .string($0.description) }
        status["then"] = isCancelled ? .null : callbackID.map { .string($0.description) } ?? .null
        status["tasks"] = .array(
            members.indices.map { index in
                var task: JSONObject = [
                    "task_id": .string(taskID(index).description), "status": .string(members[index].name),
                ]
                if let last = lastTasks[index] { task["last_task_id"] = .string(last.description) }
                return .object(task)
            })
        return .object(status)
    }
}

// MARK: - JSON

extension TaskGroup {
    package var json: JSONValue {
        var record: JSONObject = [
            "id": .string(id.description), "created_at": .string(createdAt.description),
            "members": .string(members.map(\.rawValue).joined()),
        ]
        record["user"] = user.map { .string($0) }
        record["then"] = callback?.json
        record["finished_at"] = finishedAt.map { .string($0.description) }
        record["cancelled_at"] = cancelledAt.map { .string($0.description) }
        if !lastTasks.isEmpty {
            record["last_tasks"] = .object(
                JSONObject(lastTasks.sorted { $0.key < $1.key }.map { (String($0.key), .string($0.value.description)) })
            )
        }
        return .object(record)
    }

    /// Reads a record; nil if it is none.
    package init?(json: JSONValue) {
        func moment(_ name: String) -> Timestamp? { json[name]?.stringValue.flatMap(Timestamp.init(rfc3339:)) }
        guard let id = json["id"]?.stringValue.flatMap(TaskID.init), let createdAt = moment("created_at"),
            let letters = json["members"]?.stringValue
        else { return nil }
        self.id = id
        self.createdAt = createdAt
        user = json["user"]?.stringValue
        members = letters.compactMap { Member(rawValue: String($0)) }
        guard members.count == letters.count else { return nil }
        callback = json["then"].flatMap { try? TaskRequest(json: $0) }
        finishedAt = moment("finished_at")
        cancelledAt = moment("cancelled_at")
        lastTasks = [:]
        for (index, task) in json["last_tasks"]?.objectValue ?? [:] {
            guard let index = Int(index), let id = task.stringValue.flatMap(TaskID.init) else { return nil }
            lastTasks[index] = id
        }
    }
}
