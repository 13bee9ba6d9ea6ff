public import Events

/// Which of the reports of many tasks are worth a line: those of the tasks that were asked for, each once and in order,
/// and for people no more than a line per ten percent.
public struct TaskTail: Sendable {
    /// How many tasks are remembered. Of an older one a late report may be shown again.
    public static let memory = 10_000

    public struct Filter: Sendable {
        public var user: String?
        public var name: String?
        public var state: TaskState?

        public init(user: String? = nil, name: String? = nil, state: TaskState? = nil) {
            self.user = user
            self.name = name
            self.state = state
        }
    }

    private struct Known: Sendable {
        var follower = TaskFollower()
        var lines = TaskProgressLines()
    }

    private let filter: Filter
    private var known: [TaskID: Known] = [:]
    /// The ids in `known`, the oldest first, from `head` on.
    private var order: [TaskID] = []
    private var head = 0

    public init(filter: Filter = Filter()) { self.filter = filter }

    /// What a report that was received tells.
    public struct News: Sendable, Equatable {
        public let status: TaskStatus
        /// For people; nil if it is too little for a line.
        public let line: String?
    }

    /// - Returns: nil for what was not asked for, or is known or older than what is known.
    public mutating func received(_ status: TaskStatus) -> News? {
        if let user = filter.user, status.user != user { return nil }
        if let name = filter.name, status.name != name { return nil }
        var task = known[status.id] ?? Known()
        if case .ignore = task.follower.received(status) { return nil }
        let line = task.lines.line(for: status)
        if known.updateValue(task, forKey: status.id) == nil { remember(status.id) }
        // After the above, so that what a state hides does not come again.
        if let state = filter.state, status.state != state { return nil }
        return News(status: status, line: line)
    }

    private mutating func remember(_ id: TaskID) {
        order.append(id)
        guard known.count > TaskTail.memory else { return }
        known[order[head]] = nil
        head += 1
        if head > TaskTail.memory {
            order.removeFirst(head)
            head = 0
        }
    }
}
