internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Groups: `group.<id>` says how far one has come; `forming.<id>` holds all of it from the moment at which it was asked
/// for until its last task is in its queue; `cancelling.<id>` is there while one is being cancelled.
extension TaskStore {
    /// A group that is to be put into the queues.
    struct FormingGroup: Sendable {
        let group: TaskGroup
        let tasks: [TaskRequest]
    }

    private static func groupKey(_ id: TaskID) -> String { "group.\(id)" }
    private static func formingKey(_ id: TaskID) -> String { "forming.\(id)" }
    private static func cancellingKey(_ id: TaskID) -> String { "cancelling.\(id)" }

    func group(_ id: TaskID) async throws(BusError) -> (group: TaskGroup, revision: UInt64)? {
        guard let entry = try await bucket.get(TaskStore.groupKey(id)),
            let group = (try? JSONValue(parsing: entry.value)).flatMap(TaskGroup.init(json:))
        else { return nil }
        return (group, entry.revision)
    }

    /// - Parameter revision: what it replaces; nil is nothing.
    func write(_ group: TaskGroup, replacing revision: UInt64?) async throws(BusError) {
        try await bucket.update(TaskStore.groupKey(group.id), group.json.serialized(), revision: revision)
    }

    /// Changes a group as `change` does, unless that says that there is nothing to change.
    /// - Returns: the group as it is then; nil if there is none.
    func changeGroup(
        _ id: TaskID, _ change: @Sendable (inout TaskGroup) -> Bool
    ) async throws(BusError) -> TaskGroup? {
        while true {
            guard let (found, revision) = try await group(id) else { return nil }
            var group = found
            guard change(&group) else { return group }
            do throws(BusError) {
                try await write(group, replacing: revision)
                return group
            } catch {
                // Another member's end came first, or the answer was lost: what is there now decides.
                guard error.code == .conflict else { throw error }
            }
        }
    }

    /// Keeps a group that is to be formed; from then on it is, whoever is killed.
    func keep(_ forming: FormingGroup) async throws(BusError) {
        let value: JSONValue = ["group": forming.group.json, "tasks": .array(forming.tasks.map(\.json))]
        try await bucket.put(TaskStore.formingKey(forming.group.id), value.serialized())
    }

    func forming(_ id: TaskID) async throws(BusError) -> (forming: FormingGroup, since: Timestamp)? {
        guard let entry = try await bucket.get(TaskStore.formingKey(id)),
            let json = try? JSONValue(parsing: entry.value), let group = json["group"].flatMap(TaskGroup.init(json:)),
            let items = json["tasks"]?.arrayValue
        else { return nil }
        let tasks = items.compactMap { try? TaskRequest(json: $0) }
        guard tasks.count == items.count else { return nil }
        return (FormingGroup(group: group, tasks: tasks), entry.writtenAt)
    }

    func formingGroups() async throws(BusError) -> [TaskID] {
        try await bucket.keys(matching: "forming.>").compactMap { TaskID(String($0.dropFirst("forming.".count))) }
    }

    func formed(_ id: TaskID) async throws(BusError) { try await bucket.purge(TaskStore.formingKey(id)) }

    // MARK: Cancelling

    /// Notes that a group is to be cancelled; from then on it is, whoever is killed.
    func keepCancelling(_ id: TaskID) async throws(BusError) {
        try await bucket.put(TaskStore.cancellingKey(id), [])
    }

    /// The groups that are being cancelled, and since when.
    func cancellingGroups() async throws(BusError) -> [(id: TaskID, since: Timestamp)] {
        var groups: [(TaskID, Timestamp)] = []
        for key in try await bucket.keys(matching: "cancelling.>") {
            guard let id = TaskID(String(key.dropFirst("cancelling.".count))), let entry = try await bucket.get(key)
            else { continue }
            groups.append((id, entry.writtenAt))
        }
        return groups
    }

    func cancelled(group id: TaskID) async throws(BusError) { try await bucket.purge(TaskStore.cancellingKey(id)) }
}
