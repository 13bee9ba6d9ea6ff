public import Events
internal import Synchronization

/// A clock that stands still until a test moves it. Serves as ``BusClock`` and as Swift's `Clock`.
public final class ManualClock: BusClock, Clock {
    private struct Plan {
        let due: Timestamp
        let order: UInt64
        let action: @Sendable () -> Void
    }

    private struct State {
        var now: Timestamp
        var plans: [UInt64: Plan] = [:]
        var lastID: UInt64 = 0
        /// Those who wait for so many plans to be there.
        var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state: Mutex<State>

    public init(now: Timestamp = Timestamp(seconds: 1_767_225_600)) { state = Mutex(State(now: now)) }

    public var now: Timestamp { state.withLock { $0.now } }
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// How many plans and sleepers wait for the time to come.
    public var planned: Int { state.withLock { $0.plans.count } }

    @discardableResult
    public func schedule(after delay: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let (id, reached) = state.withLock { state in
            state.lastID += 1
            state.plans[state.lastID] = Plan(
                due: state.now.advanced(by: max(delay, .zero)), order: state.lastID, action: action)
            let reached = state.waiting.filter { $0.count <= state.plans.count }.map(\.continuation)
            state.waiting.removeAll { $0.count <= state.plans.count }
            return (state.lastID, reached)
        }
        for continuation in reached { continuation.resume() }
        return { [weak self] in self?.state.withLock { _ = $0.plans.removeValue(forKey: id) } }
    }

    /// Moves the time, and runs on this thread what falls due on the way, in the order of the times.
    public func advance(by duration: Duration) {
        let target = now.advanced(by: duration)
        while let plan = takeNext(until: target) { plan.action() }
        state.withLock { $0.now = max($0.now, target) }
    }

    private func takeNext(until target: Timestamp) -> Plan? {
        state.withLock { state in
            let due = state.plans.filter { $0.value.due <= target }
            guard let next = due.min(by: { ($0.value.due, $0.value.order) < ($1.value.due, $1.value.order) }) else {
                return nil
            }
            state.plans[next.key] = nil
            state.now = max(state.now, next.value.due)
            return next.value
        }
    }

    /// Returns once at least `count` plans and sleepers wait: the code under test has come to its wait.
    public func waitForPlans(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state in
                if state.plans.count >= count { return true }
                state.waiting.append((count, continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }

    // MARK: Clock

    public func sleep(until deadline: Timestamp, tolerance: Duration?) async throws {
        let wake = Wake()
        let cancelPlan = schedule(after: now.duration(to: deadline)) { wake.up() }
        await withTaskCancellationHandler {
            await wake.value()
        } onCancel: {
            cancelPlan()
            wake.up()
        }
        try Task.checkCancellation()
    }
}

/// One sleeper.
private final class Wake: Sendable {
    private let state = Mutex<(isUp: Bool, sleeper: CheckedContinuation<Void, Never>?)>((false, nil))

    func up() {
        let sleeper = state.withLock { state in
            defer { state = (true, nil) }
            return state.sleeper
        }
        sleeper?.resume()
    }

    func value() async {
        await withCheckedContinuation { continuation in
            let isUp = state.withLock { state in
                if !state.isUp { state.sleeper = continuation }
                return state.isUp
            }
            if isUp { continuation.resume() }
        }
    }
}
