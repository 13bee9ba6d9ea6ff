internal import JSON

/// How a task hangs together with others: what a request says beside what is to be run.
///
/// ```json
/// {"name":"report.build","unique":"report/7","chain":[{"name":"report.send","previous":"report"}]}
/// ```
///
/// `group`, `follows` and `replay_of` are written by workers; over `tasks.submit` nobody gives them.
public struct TaskLinks: Sendable, Hashable {
    public static let chainLimit = 100
    public static let uniqueLimit = 200

    /// What happens to a request whose unique key another unfinished task has.
    public enum UniquePolicy: String, Sendable, Hashable, CaseIterable {
        /// It is refused, with the other's id.
        case refuse
        /// It is answered with the other's id.
        case `return`
    }

    /// A task's place in a group.
    public struct GroupPlace: Sendable, Hashable {
        public var id: TaskID
        /// From 0.
        public var index: Int

        public init(id: TaskID, index: Int) {
            self.id = id
            self.index = index
        }
    }

    /// While a task with this key is unfinished, no other of the same user runs.
    public var unique: String?
    public var uniquePolicy: UniquePolicy
    /// The tasks that follow this one, one after the other, as long as each is completed.
    public var chain: [TaskRequest]
    /// Of a task that follows another: the argument in which it gets the other's result; nil is none.
    public var previous: String?
    public var group: GroupPlace?
    /// The task whose completion this one follows in a chain.
    public var follows: TaskID?
    /// The task whose request this one repeats.
    public var replayOf: TaskID?

    public static let defaultPrevious = "previous"

    public init(
        unique: String? = nil, uniquePolicy: UniquePolicy = .refuse, chain: [TaskRequest] = [],
        previous: String? = TaskLinks.defaultPrevious, group: GroupPlace? = nil, follows: TaskID? = nil,
        replayOf: TaskID? = nil
    ) {
        self.unique = unique
        self.uniquePolicy = uniquePolicy
        self.chain = chain
        self.previous = previous
        self.group = group
        self.follows = follows
        self.replayOf = replayOf
    }

    /// Whether anything follows the task's end.
    public var hasSequel: Bool { !chain.isEmpty || group != nil }

    /// The first member that only workers write, if one is set.
    public var reservedMember: String? {
        if group != nil { return "group" }
        if follows != nil { return "follows" }
        return replayOf == nil ? nil : "replay_of"
    }
}

// MARK: - JSON

extension TaskLinks {
    init(members: JSONObject) throws(TaskRequest.Invalid) {
        self.init()
        func member(_ name: String) -> JSONValue? {
            guard let value = members[name], !value.isNull else { return Optional.none }
            return value
        }
        if let value = member("unique") {
            guard let key = value.stringValue, (1...TaskLinks.uniqueLimit).contains(key.utf8.count) else {
                throw TaskRequest.Invalid(
                    field: "unique", problem: "must be a key: a string of 1 to \(TaskLinks.uniqueLimit) bytes")
            }
            unique = key
        }
        if let value = member("unique_policy") {
            guard let policy = value.stringValue.flatMap(UniquePolicy.init) else {
                let all = UniquePolicy.allCases.map(\.rawValue).joined(separator: " or ")
                throw TaskRequest.Invalid(field: "unique_policy", problem: "must be \(all)")
            }
            uniquePolicy = policy
        }
        if let value = member("chain") { chain = try TaskLinks.chain(value) }
        switch member("previous") {
        case nil, .bool(true): break
        case .bool(false): previous = nil
        case .string(let name) where (1...64).contains(name.utf8.count): previous = name
        default:
            throw TaskRequest.Invalid(
                field: "previous", problem: "must be the name of the argument that gets the result before, or false")
        }
        if let value = member("group") {
            guard let id = value["id"]?.stringValue.flatMap(TaskID.init),
                let index = value["index"]?.integerValue.flatMap(Int.init(exactly:)), index >= 0
            else { throw TaskRequest.Invalid(field: "group", problem: "must be an id and an index") }
            group = GroupPlace(id: id, index: index)
        }
        follows = try TaskLinks.id(member("follows"), "follows")
        replayOf = try TaskLinks.id(member("replay_of"), "replay_of")
    }

    private static func id(_ value: JSONValue?, _ field: String) throws(TaskRequest.Invalid) -> TaskID? {
        guard let value else { return nil }
        guard let id = value.stringValue.flatMap(TaskID.init) else {
            throw TaskRequest.Invalid(field: field, problem: "must be the id of a task")
        }
        return id
    }

    private static func chain(_ value: JSONValue) throws(TaskRequest.Invalid) -> [TaskRequest] {
        guard let items = value.arrayValue, items.count <= chainLimit else {
            throw TaskRequest.Invalid(field: "chain", problem: "must be a list of at most \(chainLimit) tasks")
        }
        var requests: [TaskRequest] = []
        for (index, item) in items.enumerated() {
            let field = "chain[\(index)]"
            // Looked at before the item is read, so that lists within lists are not followed down.
            if item["chain"].map({ !$0.isNull }) ?? false {
                throw TaskRequest.Invalid(
                    field: field, problem: "must not have a chain of its own: name all in one list")
            }
            let request: TaskRequest
            do throws(TaskRequest.Invalid) {
                request = try TaskRequest(json: item)
            } catch {
                throw TaskRequest.Invalid(field: "\(field).\(error.field)", problem: error.problem)
            }
            if request.id != nil || request.links.reservedMember != nil {
                throw TaskRequest.Invalid(
                    field: field,
                    problem: "must not have an id or \(request.links.reservedMember ?? "id"): workers give it")
            }
            requests.append(request)
        }
        return requests
    }

    func write(to members: inout JSONObject) {
        members["unique"] = unique.map { .string($0) }
        if uniquePolicy != .refuse { members["unique_policy"] = .string(uniquePolicy.rawValue) }
        if !chain.isEmpty { members["chain"] = .array(chain.map(\.json)) }
        if previous != TaskLinks.defaultPrevious { members["previous"] = previous.map { .string($0) } ?? .bool(false) }
        if let group {
            members["group"] = ["id": .string(group.id.description), "index": .integer(Int64(group.index))]
        }
        members["follows"] = follows.map { .string($0.description) }
        members["replay_of"] = replayOf.map { .string($0.description) }
    }
}
