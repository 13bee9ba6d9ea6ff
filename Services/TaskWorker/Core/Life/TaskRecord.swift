package import Events
package import JSON

/// All that is kept of one task.
///
/// A pure value: whoever changes a task reads its record from the bucket, applies one of its transitions and
/// writes it back only if nobody else has written meanwhile. Each transition gives the record a new version (attempt,
/// sequence), so that of two who act on the same version one fails, reads again and decides anew. Nothing follows a
/// final state: every transition refuses one.
package struct TaskRecord: Sendable, Hashable {
    /// Why an attempt ended without a result.
    package struct AttemptError: Sendable, Hashable {
        package var attempt: Int
        package var message: String
        package var at: Timestamp
    }

    /// How many of the attempts' errors are kept.
    package static let keptErrors = 50
    /// How many bytes of each of them are kept.
    package static let maximumErrorLength = 500
    /// How many bytes of a message are kept.
    package static let maximumMessageLength = 2000

    /// One object, since a record is handed on many times and is far larger than what a function should carry about.
    private var object: Object

    private final class Object: Sendable {
        let content: Content

        init(_ content: Content) { self.content = content }
    }

    /// What it is made of, each as the property of the same name says.
    struct Content: Sendable, Hashable {
        let id: TaskID
        let name: String
        let queue: String
        let user: String?
        var maximumAttempts: Int
        let submittedAt: Timestamp
        var updatedAt: Timestamp
        var state: TaskState
        var progress: Double
        var attempt: Int
        var sequence: Int
        var message: String?
        var result: JSONValue
        var handedBack: Int
        var due: Timestamp?
        var slot: Timestamp?
        var streamSequence: UInt64?
        var delivery: Int?
        var worker: String?
        var errors: [AttemptError]
        var startedAt: Timestamp?
        var isToldAtOnce: Bool
        let request: KeptRequest?
    }

    init(_ content: Content) { object = Object(content) }

    package static func == (left: TaskRecord, right: TaskRecord) -> Bool {
        left.object === right.object || left.object.content == right.object.content
    }

    package func hash(into hasher: inout Hasher) { object.content.hash(into: &hasher) }

    package var id: TaskID { object.content.id }
    package var name: String { object.content.name }
    package var queue: String { object.content.queue }
    package var user: String? { object.content.user }
    package var maximumAttempts: Int { object.content.maximumAttempts }
    package var submittedAt: Timestamp { object.content.submittedAt }
    package var updatedAt: Timestamp { object.content.updatedAt }
    package var state: TaskState { object.content.state }
    package var progress: Double { object.content.progress }
    package var attempt: Int { object.content.attempt }
    package var sequence: Int { object.content.sequence }
    package var message: String? { object.content.message }
    package var result: JSONValue { object.content.result }
    /// The attempts that a worker gave back unfinished when it was stopped. They do not count against the maximum.
    package var handedBack: Int { object.content.handedBack }
    /// Not to be run before this moment: the request's `eta`, then the time of the next attempt.
    package var due: Timestamp? { object.content.due }
    /// The slot that a task of a limited rate has got: about when it may begin.
    package var slot: Timestamp? { object.content.slot }
    /// Which message of the queue is this task; nil until its stream has told.
    package var streamSequence: UInt64? { object.content.streamSequence }
    /// The number of the delivery with which the attempt began. An older one that comes late, for instance to a process
    /// that was stopped, is nobody's any more.
    package var delivery: Int? { object.content.delivery }
    /// Which process runs, or ran, the attempt.
    package var worker: String? { object.content.worker }
    package var errors: [AttemptError] { object.content.errors }
    /// When the present attempt began, or the last one did.
    package var startedAt: Timestamp? { object.content.startedAt }
    /// All of its versions are told in one message, the last one's: nobody has recorded one of those before.
    package var isToldAtOnce: Bool { object.content.isToldAtOnce }
    /// What was asked for; nil for a record of an older worker.
    package var request: KeptRequest? { object.content.request }

    /// A task that waits for its first attempt.
    package init(
        queued request: TaskRequest, id: TaskID, maximumAttempts: Int, streamSequence: UInt64?, at now: Timestamp
    ) {
        let due = request.due(submittedAt: now)
        self.init(
            Content(
                id: id, name: request.name, queue: request.queue, user: request.user, maximumAttempts: maximumAttempts,
                submittedAt: now, updatedAt: now, state: .queued, progress: 0, attempt: 0, sequence: 0,
                message: due.map { "due at \($0)" }, result: .null, handedBack: 0, due: due, slot: nil,
                streamSequence: streamSequence, delivery: nil, worker: nil, errors: [], startedAt: nil,
                isToldAtOnce: false,
                request: KeptRequest(request)))
    }

    /// How many attempts count against the maximum.
    package var countedAttempts: Int { max(0, attempt - handedBack) }
    package var hasAttemptsLeft: Bool { countedAttempts < maximumAttempts }

    package var status: TaskStatus {
        TaskStatus(
            id: id, name: name, state: state, progress: progress, attempt: attempt, sequence: sequence,
            message: message, result: result, user: user, queue: queue, maximumAttempts: maximumAttempts,
            submittedAt: submittedAt, updatedAt: updatedAt)
    }

    /// Gives it other contents: a new object, so that nobody else's record changes.
    mutating func change(_ change: (inout Content) -> Void) {
        var content = object.content
        change(&content)
        object = Object(content)
    }
}
