internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Groups: `group.<id>` says how far one has come; `forming.<id>` holds all of it from the moment at which it was asked
/// for until its last task is in its queue.
extension TaskStore {
    /// A group that is to be put into the queues.
    struct FormingGroup: Sendable {
        let group: TaskGroup
        let tasks: [TaskRequest]
    }

    private static func groupKey(_ id: TaskID) -> String { "group.\(id)" }
    private static func formingKey(_ id: TaskID) -> String { "forming.\(id)" }

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
}
