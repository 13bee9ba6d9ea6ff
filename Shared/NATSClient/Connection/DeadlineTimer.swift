internal import Dispatch

/// Calls back once at, or soon after, the time it was last set to. Its thread is a Dispatch queue's, so that waiting
/// costs no thread of Swift's pool and no task.
///
/// `@unchecked`: the source is documented as safe to set from any thread and is never exposed.
final class DeadlineTimer: @unchecked Sendable {
    private let source: any DispatchSourceTimer
    private let clock = ContinuousClock()

    init(_ action: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "nats.deadlines"))
        source.setEventHandler(handler: action)
        source.activate()
    }

    func set(_ instant: ContinuousClock.Instant) {
        let delay = max(.zero, clock.now.duration(to: instant))
        source.schedule(deadline: .now() + .nanoseconds(Int(clamping: delay.wholeNanoseconds)))
    }

    deinit { source.cancel() }
}
