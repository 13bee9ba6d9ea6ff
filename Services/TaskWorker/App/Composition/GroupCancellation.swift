internal import EventBus
internal import Events
internal import TaskWorkerCore

/// Cancels whole groups: first the group's record says so, from which moment on none of its tasks begins and its callback
/// does not run; then what has not ended is ended, task by task. A worker that is killed in between is followed by another
/// one, as when a group is formed.
struct GroupCancellation: Sendable {
    /// How many tasks are ended at once, and how many before the group's record is written.
    private static let (width, pageLength) = (16, 100)
    private static let message = "cancelled with its group"
    /// How long whoever calls waits for it; what is left then goes on by itself.
    static let patience = Duration.seconds(3)

    let parts: WorkerParts

    struct Progress: Sendable {
        var group: TaskGroup
        /// How many tasks were ended.
        var ended = 0
        /// How many members have not been looked at.
        var remaining = 0
    }

    /// Doing it again ends what is left.
    /// - Parameter patience: how long to go on; nil is to the end.
    /// - Returns: nil if there is no such group. One that had finished before stays as it is.
    func cancel(_ id: TaskID, patience: Duration? = nil) async throws -> Progress? {
        let (store, clock) = (parts.store, parts.clock)
        let end = patience.map { ContinuousClock.now + $0 }
        guard let found = try await store.group(id)?.group else {
            try await store.cancelled(group: id)
            return nil
        }
        if !found.isFinished { try await store.keepCancelling(id) }
        guard let group = try await store.changeGroup(id, { $0.cancel(at: clock.now) }) else { return nil }
        var progress = Progress(group: group)
        if group.isCancelled {
            // Of those that are not in their queues yet, this is where it says what they are.
            let forming = try await store.forming(id)?.forming
            var rest = group.unfinished[...]
            while !rest.isEmpty {
                if let end, ContinuousClock.now >= end {
                    progress.remaining = rest.count
                    return progress
                }
                let ended = try await rest.prefix(GroupCancellation.pageLength).mapAtOnce(GroupCancellation.width) {
                    index in
                    let request = forming.flatMap { $0.tasks.indices.contains(index) ? $0.tasks[index] : nil }
                    return try await self.end(index, of: group, request.map { group.request(index, $0) })
                }.compactMap { $0 }
                rest = rest.dropFirst(GroupCancellation.pageLength)
                progress.ended += ended.count
                let changed = try await store.changeGroup(id) { group in
                    var isChanged = false
                    for end in ended where group.end(end.index, as: .cancelled, with: end.id, at: clock.now) {
                        isChanged = true
                    }
                    return isChanged
                }
                progress.group = changed ?? progress.group
            }
        }
        try await store.cancelled(group: id)
        return progress
    }

    // MARK: Members

    /// The task with which a member has ended.
    private struct Ended: Sendable {
        let index: Int
        let id: TaskID
    }

    /// Ends what waits or runs of a member: the task itself, or the one at which its chain is.
    /// - Parameter request: of the task, as far as it is known before there is a record.
    /// - Returns: nil if there is nothing to be ended, or not yet: a task without a record is ended when its turn comes.
    private func end(_ index: Int, of group: TaskGroup, _ request: TaskRequest?) async throws -> Ended? {
        let (store, cancellation) = (parts.store, TaskCancellation(parts: parts))
        var (id, user, request) = (group.taskID(index), group.user, request)
        while true {
            let slot = try await store.slot(user: user, id: id)
            let record: TaskRecord
            if let found = slot.record {
                record = found
            } else if let request {
                // Whoever is about to put it into its queue finds this, and so does the worker that gets it there.
                record = TaskRecord(
                    queued: request, id: id, maximumAttempts: request.maximumAttempts ?? 1, streamSequence: nil,
                    at: parts.clock.now)
                try await store.keep(request, of: record)
            } else {
                return nil
            }
            guard record.state.isFinal else {
                let cancelled = try await cancellation.cancel(
                    record, in: slot, message: GroupCancellation.message, settles: false)
                guard cancelled != nil else { continue }
                return Ended(index: index, id: id)
            }
            guard let asked = try await store.request(of: record),
                case .next(let next) = TaskSequel.decide(record, asked), let following = next.id
            else {
                // It has come to its end; if that is not noted, it is now.
                try await TaskSequelRunner(parts: parts).settle(record)
                try await cancellation.complete(record)
                return nil
            }
            (id, user, request) = (following, next.user, next)
        }
    }
}
