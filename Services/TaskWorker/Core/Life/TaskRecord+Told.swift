package import Events
internal import JSON

/// What is to be told of a task, and in which order: that it is queued before anything else, and that an attempt began before
/// whatever came of it.
extension TaskRecord {
    /// What its status was when it was submitted.
    package var queuedStatus: TaskStatus {
        var queued = status
        (queued.state, queued.attempt, queued.sequence, queued.progress) = (.queued, 0, 0, 0)
        (queued.message, queued.result, queued.updatedAt) = (nil, .null, submittedAt)
        return queued
    }

    /// What its status was when its attempt began; nil before the first.
    private var startedStatus: TaskStatus? {
        guard attempt > 0 else { return nil }
        var started = status
        (started.state, started.sequence, started.progress) = (.started, 1, 0)
        (started.message, started.result, started.updatedAt) = (nil, .null, startedAt ?? updatedAt)
        return started
    }

    /// This is the first record of the task, and its last. Whoever tells it, however late, tells all of it in one message: of
    /// two who do, one may not add what the other has told in another way.
    package mutating func tellAtOnce() { change { $0.isToldAtOnce = true } }

    /// All that is to be told of the task up to here, in order, by somebody who knows nothing but this record: whoever wrote
    /// it, and what led to it, may have been killed before telling.
    package var statuses: [TaskStatus] {
        [queuedStatus, startedStatus, status].compactMap(\.self).reduce(into: []) { statuses, next in
            if statuses.last?.version != next.version { statuses.append(next) }
        }
    }
}
