public import Events

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Where the time comes from: the machine, or a test that moves it by hand.
public protocol BusClock: Sendable {
    var now: Timestamp { get }

    /// Runs `action` once, `delay` from now, on a thread of the clock; it must not block.
    /// - Returns: what takes the plan back. Calling it after the action ran is harmless.
    @discardableResult
    func schedule(after delay: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void
}

/// The machine's clock.
public struct SystemBusClock: BusClock {
    public init() {}

    public var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public func schedule(after delay: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let (seconds, attoseconds) = max(delay, .zero).components
        // A plan further ahead than a year is one nobody waits for; the bound keeps the arithmetic below in range.
        let nanoseconds = min(seconds, 31_536_000) * 1_000_000_000 + attoseconds / 1_000_000_000
        let plan = PlannedActions.shared.plan(after: UInt64(nanoseconds), action)
        return { PlannedActions.shared.takeBack(plan) }
    }
}
