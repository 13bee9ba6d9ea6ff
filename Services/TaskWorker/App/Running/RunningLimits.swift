internal import EventBus
internal import Events
internal import Metrics
internal import TaskWorkerCore

/// Whether a task of a limited name may begin now: `worker.limits`.
struct RunningLimits: Sendable {
    /// How long a task stands in line for a place of its name before it goes back to its queue. A part of the lease.
    private static let patience = Duration.milliseconds(300)
    /// The shortest and the longest time for which it is gone then; twice as long each time.
    private static let (shortest, longest) = (Duration.milliseconds(250), Duration.seconds(30))
    /// A slot so soon is waited for.
    private static let soon = Duration.milliseconds(50)

    private let limits: [String: TaskLimit]
    private let places: NamePlaces
    private let rates: RateReservations
    private let clock: any BusClock

    init(_ limits: [String: TaskLimit], queues: QueueStore, clock: any BusClock) {
        self.limits = limits
        self.clock = clock
        places = NamePlaces(limits.compactMapValues(\.concurrency), clock: clock)
        rates = RateReservations(queues: queues, clock: clock)
    }

    /// Whether tasks of this name are limited at all.
    func hold(_ name: String) -> Bool { limits[name] != nil }

    /// What a task has got of what it needs.
    struct Permit: Sendable {
        var hasPlace = false
        /// When it may begin.
        var slot: Timestamp?
    }

    enum Answer: Sendable {
        case begin
        /// It may begin, but time has passed: look at its record again.
        case lookAgain
        /// There is no place: come again so much later.
        case come(after: Duration)
        /// It may begin then.
        case wait(until: Timestamp)
    }

    /// - Parameters:
    ///   - slot: the one that the task's record says.
    ///   - delivery: how often the task has been delivered.
    func ask(
        _ name: String, _ permit: inout Permit, slot: Timestamp?, delivery: Int, _ place: Place
    ) async throws(BusError) -> Answer {
        guard let limit = limits[name] else { return .begin }
        var hasWaited = false
        if limit.concurrency != nil, !permit.hasPlace {
            if places.takeNow(name) == false {
                let isTaken = await place.lent { await places.take(name, patience: RunningLimits.patience) }
                guard isTaken else {
                    Counter(label: "apus_tasks_held_total", dimensions: [("task", name), ("by", "concurrency")])
                        .increment()
                    return .come(after: RunningLimits.pause(delivery))
                }
                hasWaited = true
            }
            permit.hasPlace = true
        }
        if let rate = limit.rate {
            if let slot, RateSchedule.isUsable(slot, now: clock.now) { permit.slot = slot }
            // One that was waited for here may seem a moment ahead.
            let now = clock.now.advanced(by: RunningLimits.soon)
            if permit.slot.map({ !RateSchedule.isUsable($0, now: now) }) ?? true {
                guard let next = try await rates.slot(name, rate: rate) else {
                    Counter(label: "apus_tasks_held_total", dimensions: [("task", name), ("by", "rate")]).increment()
                    return .come(after: RateSchedule.horizon * Double.random(in: 0.5...1))
                }
                let delay = clock.now.duration(to: next)
                guard delay <= RunningLimits.soon else { return .wait(until: next) }
                permit.slot = next
                try? await clock.pause(for: delay)
                hasWaited = hasWaited || delay > .zero
            }
        }
        return hasWaited ? .lookAgain : .begin
    }

    func giveBack(_ permit: Permit, _ name: String) {
        if permit.hasPlace { places.giveBack(name) }
    }

    private static func pause(_ delivery: Int) -> Duration {
        var pause = shortest
        for _ in 1..<max(1, min(delivery, 16)) where pause < longest { pause *= 2 }
        return min(pause, longest) * Double.random(in: 0.5...1)
    }
}
