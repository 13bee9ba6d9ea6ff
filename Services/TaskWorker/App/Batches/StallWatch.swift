internal import EventBus
internal import Synchronization

/// Does something once there has been no progress for a while, unless it is told before that all is over.
final class StallWatch: Sendable {
    private enum Phase {
        case resting
        /// What takes the next look back.
        case watching(@Sendable () -> Void)
        case over
    }

    private let clock: any BusClock
    private let patience: Duration
    private let progress: @Sendable () -> Int
    private let onStall: @Sendable () -> Void
    private let phase = Mutex(Phase.resting)

    /// - Parameter progress: grows with it.
    init(
        clock: any BusClock, patience: Duration, progress: @escaping @Sendable () -> Int,
        onStall: @escaping @Sendable () -> Void
    ) {
        self.clock = clock
        self.patience = patience
        self.progress = progress
        self.onStall = onStall
    }

    func begin() { planLook(after: progress()) }

    func end() {
        let takeBack = phase.withLock { phase -> (@Sendable () -> Void)? in
            defer { phase = .over }
            if case .watching(let takeBack) = phase { return takeBack }
            return nil
        }
        takeBack?()
    }

    private func planLook(after last: Int) {
        let takeBack = clock.schedule(after: patience) { [weak self] in self?.look(after: last) }
        let isOver = phase.withLock { phase in
            if case .over = phase { return true }
            phase = .watching(takeBack)
            return false
        }
        if isOver { takeBack() }
    }

    private func look(after last: Int) {
        let now = progress()
        if now > last { planLook(after: now) } else { onStall() }
    }
}
