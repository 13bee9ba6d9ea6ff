package import Events
internal import JSON

/// What follows a task's end: decided from the final record and the request alone, and named by ids that follow from them,
/// so that whoever does it again, however late, does the same and nothing more.
package enum TaskSequel: Sendable, Hashable {
    case nothing
    /// The chain goes on with this task, which has its id.
    case next(TaskRequest)
    /// The task's member of a group has come to its end.
    case groupMember(TaskLinks.GroupPlace)

    package static func decide(_ record: TaskRecord, _ request: TaskRequest) -> TaskSequel {
        guard record.state.isFinal else { return .nothing }
        if record.state == .completed, let next = follower(of: record, request) { return .next(next) }
        // A chain that ends early ends its member too.
        return request.links.group.map { .groupMember($0) } ?? .nothing
    }

    private static func follower(of record: TaskRecord, _ request: TaskRequest) -> TaskRequest? {
        guard var next = request.links.chain.first else { return nil }
        next.id = .derived(from: "chain/\(record.user ?? "")/\(record.id)", at: record.updatedAt)
        next.user = next.user ?? record.user
        next.links.chain = Array(request.links.chain.dropFirst())
        next.links.group = request.links.group
        next.links.follows = record.id
        if let name = next.links.previous, next.arguments[name] == nil { next.arguments[name] = record.result }
        return next
    }
}
