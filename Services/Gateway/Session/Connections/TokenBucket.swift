/// A rate limit: so many tokens flow in each second, up to a burst; each message takes one.
package struct TokenBucket: Sendable, Equatable {
    private let perSecond: Double
    private let burst: Double
    private var tokens: Double
    private var updatedAt: Moment

    package init(perSecond: Double, burst: Double, now: Moment) {
        self.perSecond = perSecond
        self.burst = burst
        tokens = burst
        updatedAt = now
    }

    /// Takes one token.
    /// - Returns: nil if there was one, otherwise in how many whole seconds there will be, at least 1.
    package mutating func take(now: Moment) -> Int? {
        let elapsed = max(0, Double(now.milliseconds - updatedAt.milliseconds) / 1000)
        tokens = min(burst, tokens + elapsed * perSecond)
        updatedAt = now
        if tokens >= 1 {
            tokens -= 1
            return nil
        }
        return max(1, Int(((1 - tokens) / perSecond).rounded(.up)))
    }

    /// Whether a whole burst could be taken.
    package func isFull(now: Moment) -> Bool {
        tokens + max(0, Double(now.milliseconds - updatedAt.milliseconds) / 1000) * perSecond >= burst
    }
}

/// A moment of the monotonic clock, for deadlines and rates inside one process.
package struct Moment: Sendable, Hashable, Comparable {
    package let milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (left: Moment, right: Moment) -> Bool { left.milliseconds < right.milliseconds }

    package func duration(to other: Moment) -> Duration { .milliseconds(other.milliseconds - milliseconds) }

    package func advanced(by duration: Duration) -> Moment {
        let (seconds, attoseconds) = duration.components
        return Moment(milliseconds: milliseconds + seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
