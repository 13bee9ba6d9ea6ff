public import EventBus
internal import Synchronization

/// Where a process dies: at its `step`th call of the bus that reads or changes what others see. From then on nothing that
/// it asks for happens any more.
///
///     let crash = CrashPoint(at: 7, .after)
///     let bus = FaultyBus(connection, dyingAt: crash)
public final class CrashPoint: Sendable {
    public enum Moment: String, CaseIterable, Sendable {
        /// The call does not happen.
        case before
        /// The call happens, and the process dies before it knows.
        case after
    }

    private struct State {
        /// How many calls there still are; nil while nothing has been said.
        var left: Int?
        var moment = Moment.before
    }

    private let state: Mutex<State>
    private let error: BusError

    /// - Parameters:
    ///   - step: from 1; nil if ``arm(_:_:)`` says it later.
    ///   - error: what the dead process's calls throw. One that may pass keeps the dead from stopping by themselves.
    public init(
        at step: Int? = nil, _ moment: Moment = .before, error: BusError = BusError(.closed, "the process has died")
    ) {
        state = Mutex(State(left: step, moment: moment))
        self.error = error
    }

    /// From now on the `step`th call, from 1, is the last. Only the first arming counts.
    public func arm(_ step: Int, _ moment: Moment) {
        state.withLock { if $0.left == nil { ($0.left, $0.moment) = (step, moment) } }
    }

    /// Whether the process died.
    public var hasHappened: Bool { state.withLock { $0.left.map { $0 <= 0 } ?? false } }

    func fault(_ call: BusCall) -> FaultyBus.Fault? {
        state.withLock { state in
            guard let left = state.left else { return nil }
            if left <= 0 { return .refused(error) }
            guard call.operation.isStep else { return nil }
            state.left = left - 1
            guard left == 1 else { return nil }
            return state.moment == .before ? .refused(error) : .unanswered(error)
        }
    }
}
