internal import Reactor
internal import Synchronization

/// What happens again and again on the loops, until it is stopped.
final class Ticking: Sendable {
    private let isStopped = Atomic<Bool>(false)

    /// Calls `body` on the reactor's thread with how late it is, `interval` after the call before has returned.
    func repeatedly(each interval: Duration, on reactor: Reactor, _ body: @escaping @Sendable (Duration) -> Void) {
        reactor.execute { [self] in
            guard !isStopped.load(ordering: .relaxed) else { return }
            let due = ContinuousClock.now + interval
            reactor.schedule(after: interval) { [self] in
                guard !isStopped.load(ordering: .relaxed) else { return }
                body(.now - due)
                repeatedly(each: interval, on: reactor, body)
            }
        }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
}
