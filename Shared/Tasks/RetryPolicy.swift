/// When a failed attempt is followed by the next: after a time that doubles with each, of which a random share is taken
/// ("full jitter"), so that tasks that failed together do not come back together.
public struct RetryPolicy: Sendable, Hashable {
    /// The longest wait before the second attempt.
    public var base: Duration
    /// The longest wait of all.
    public var maximum: Duration

    public init(base: Duration = .seconds(2), maximum: Duration = .seconds(600)) {
        self.base = base
        self.maximum = maximum
    }

    /// - Parameters:
    ///   - attempt: how many attempts have failed, from 1.
    ///   - random: 0 to 1.
    public func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        var longest = base
        for _ in 1..<max(1, min(attempt, 64)) where longest < maximum { longest *= 2 }
        return min(longest, maximum) * min(1, max(0, random))
    }
}
