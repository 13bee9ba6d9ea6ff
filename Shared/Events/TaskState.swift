/// Where a task is in its life: `queued → started → processing* → completed | failed | cancelled`, with `retrying`
/// between attempts.
public enum TaskState: String, Sendable, Hashable, CaseIterable {
    /// Waits for a worker, or for its time.
    case queued
    /// An attempt has begun.
    case started
    /// The attempt has reported progress.
    case processing
    /// An attempt ended without a result; another follows.
    case retrying
    /// Done, with a result.
    case completed
    /// Given up, for the reason in the status' message.
    case failed
    case cancelled

    /// Whether nothing follows.
    public var isFinal: Bool {
        switch self {
        case .completed, .failed, .cancelled: true
        case .queued, .started, .processing, .retrying: false
        }
    }

    /// Whether an attempt is under way.
    public var isRunning: Bool { self == .started || self == .processing }
}
