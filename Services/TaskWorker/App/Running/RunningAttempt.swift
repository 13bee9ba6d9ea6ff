internal import EventBus
internal import Events
internal import Synchronization
internal import TaskWorkerCore
internal import Tasks

/// Why an attempt is to end before its work does.
enum StopReason: Sendable, Hashable {
    /// The task was cancelled: its record is final.
    case cancelled
    /// Somebody else has the task now.
    case superseded
    /// The lease ran out without a sign that the bus is there: somebody else may have the task.
    case leaseLost
    case timedOut(Duration)
    /// The worker is being stopped.
    case shutdown
}

/// What the parts that have to do with one attempt share: the work reports here, the lease keeper and the watch for
/// cancels stop it here, and its runner takes from here what has happened.
final class RunningAttempt: AttemptControl {
    /// What its runner is woken for.
    enum Event: Sendable {
        /// There may be progress to be published.
        case progress
        case ended(AttemptOutcome)
        /// There is a reason to stop.
        case stopped
        /// The work has had its time to end by itself.
        case graceOver
    }

    private struct State {
        var thinner = ProgressThinner()
        var stop: StopReason?
        var cancelWork: (@Sendable () -> Void)?
        /// The soft time limit that has passed.
        var softLimit: Duration?
        /// The work has been told of it where it reports its progress.
        var isSoftLimitTold = false
        var leaseUntil: Timestamp
        var endLeasePlan: (@Sendable () -> Void)?
        /// A ``Event/progress`` is on its way, so that no other needs to be: events are bounded by this.
        var isWakePending = false
        /// A timer will wake the runner.
        var isWakePlanned = false
        /// What happened before anybody listened.
        var early: [Event] = []
        var sink: AsyncStream<Event>.Continuation?
        var isOver = false
    }

    let id: TaskID
    /// From 1.
    let number: Int
    let queue: String
    private let clock: any BusClock
    private let start: Timestamp
    private let state: Mutex<State>

    init(id: TaskID, number: Int, queue: String, leaseUntil: Timestamp, clock: any BusClock) {
        self.id = id
        self.number = number
        self.queue = queue
        self.clock = clock
        start = clock.now
        state = Mutex(State(leaseUntil: leaseUntil))
    }

    /// For one reader, who asks once. At most one `progress`, and one or two of each other event.
    var events: AsyncStream<Event> {
        // Most that are done in no time are never asked.
        let (events, sink) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(16))
        state.withLock { state in
            state.sink = sink
            // Under the lock, so that none that happens now comes before them.
            for event in state.early { sink.yield(event) }
            state.early = []
            if state.isOver { sink.finish() }
        }
        return events
    }

    private func tell(_ event: Event) {
        let sink = state.withLock { state in
            if state.sink == nil, !state.isOver { state.early.append(event) }
            return state.sink
        }
        sink?.yield(event)
    }

    // MARK: The work's side

    /// The soft time limit, once it has passed.
    var softLimit: Duration? { state.withLock { $0.softLimit } }

    func passSoftLimit(_ limit: Duration) { state.withLock { $0.softLimit = limit } }

    /// The soft time limit if it has passed and this has not said so yet.
    func takeSoftLimit() -> Duration? {
        state.withLock { state in
            guard !state.isSoftLimitTold, let limit = state.softLimit else { return nil }
            state.isSoftLimitTold = true
            return limit
        }
    }

    /// Takes a report and wakes the runner if it is not awake.
    func report(progress: Double, message: String?) throws(TaskStopped) {
        let (isStopped, wakes) = state.withLock { state in
            guard state.stop == nil else { return (true, false) }
            state.thinner.offer(progress: progress, message: message)
            return (false, RunningAttempt.takeWake(&state))
        }
        if isStopped { throw TaskStopped() }
        if wakes { tell(.progress) }
    }

    func end(_ outcome: AttemptOutcome) { tell(.ended(outcome)) }

    // MARK: Stopping

    var isStopped: Bool { stopReason != nil }

    /// Why the attempt is to end; nil while it is not.
    var stopReason: StopReason? { state.withLock { $0.stop } }

    /// Stops the attempt; the first reason counts.
    func stop(_ reason: StopReason) {
        let (isFirst, cancel) = state.withLock { state in
            guard state.stop == nil else { return (false, (@Sendable () -> Void)?.none) }
            state.stop = reason
            return (true, state.cancelWork)
        }
        guard isFirst else { return }
        cancel?()
        tell(.stopped)
    }

    /// Says how the work is cancelled; at once if there is a reason already.
    func onStop(_ cancel: @escaping @Sendable () -> Void) {
        let isStopped = state.withLock { state in
            state.cancelWork = cancel
            return state.stop != nil
        }
        if isStopped { cancel() }
    }

    func planGraceEnd(after grace: Duration) {
        clock.schedule(after: grace) { [weak self] in self?.tell(.graceOver) }
    }

    // MARK: The lease

    /// Until when nobody else can have been given the task.
    var holdsLease: Bool { state.withLock { $0.leaseUntil > clock.now && $0.stop != .superseded } }

    /// Stops the attempt when the lease that it began with runs out and is not renewed.
    func watchLease() { renewed(until: state.withLock { $0.leaseUntil }) }

    /// The bus has confirmed the lease.
    func renewed(until end: Timestamp) {
        let endPlan = clock.schedule(after: clock.now.duration(to: end)) { [weak self] in self?.stop(.leaseLost) }
        let previous = state.withLock { state in
            state.leaseUntil = end
            defer { state.endLeasePlan = endPlan }
            return state.endLeasePlan
        }
        previous?()
    }

    /// The attempt is over: nothing wakes or stops it any more.
    func close() {
        let (plan, sink) = state.withLock { state in
            defer { state.endLeasePlan = nil }
            state.isOver = true
            return (state.endLeasePlan, state.sink)
        }
        plan?()
        sink?.finish()
    }

    // MARK: The runner's side

    /// The report to be published now, if there is one. Plans to be woken again if there will be one later.
    func nextReport() -> ProgressThinner.Report? {
        let (report, pause) = state.withLock { state -> (ProgressThinner.Report?, Duration?) in
            state.isWakePending = false
            switch state.thinner.next(now: start.duration(to: clock.now)) {
            case .send(let report): return (report, nil)
            case .idle: return (nil, nil)
            case .wait(let pause):
                guard !state.isWakePlanned else { return (nil, nil) }
                state.isWakePlanned = true
                // Not longer than the interval, since what comes meanwhile may be more urgent.
                return (nil, min(pause, state.thinner.interval))
            }
        }
        if let pause { planWake(after: pause) }
        return report
    }

    /// Whether anything has been reported and not been published.
    var hasReport: Bool { state.withLock { $0.thinner.isWaiting } }

    /// What has been reported and not been published.
    func lastReport() -> ProgressThinner.Report? { state.withLock { $0.thinner.flush() } }

    /// Wakes the runner after `pause`, for what could not be published.
    func wakeLater(after pause: Duration) {
        let isPlanned = state.withLock { state in
            defer { state.isWakePlanned = true }
            return state.isWakePlanned
        }
        if !isPlanned { planWake(after: pause) }
    }

    private func planWake(after pause: Duration) {
        clock.schedule(after: pause) { [weak self] in
            guard let self else { return }
            let wakes = state.withLock { state in
                state.isWakePlanned = false
                return RunningAttempt.takeWake(&state)
            }
            if wakes { tell(.progress) }
        }
    }

    private static func takeWake(_ state: inout State) -> Bool {
        guard !state.isWakePending, !state.isWakePlanned else { return false }
        state.isWakePending = true
        return true
    }
}
