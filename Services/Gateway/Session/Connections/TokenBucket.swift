/// A rate limit: so many tokens flow in each second, up to a burst; each message takes one.
package struct TokenRate: Sendable, Equatable {
    package let perSecond: Double
    package let burst: Double

    package init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// What somebody has left of a rate. The rate is an argument, since most share it: what is kept is one number.
package struct TokenBucket: Sendable, Equatable {
    /// When it is full again, in milliseconds: each token that is taken moves it on by the time in which one flows in.
    private var fullAt = -Double.infinity

    /// One that is full.
    package init() {}

    /// Takes one token.
    /// - Returns: nil if there was one, otherwise in how many whole seconds there will be, at least 1.
    package mutating func take(_ rate: TokenRate, now: Moment) -> Int? {
        let present = Double(now.milliseconds)
        let missing = max(0, fullAt - present) / 1000 * rate.perSecond
        // What is a whole token must not be refused for the last bit of a fraction.
        let lacking = missing + 1 - rate.burst
        guard lacking < 1e-6 else { return max(1, Int((lacking / rate.perSecond).rounded(.up))) }
        fullAt = max(fullAt, present) + 1000 / rate.perSecond
        return nil
    }

    /// Whether a whole burst could be taken.
    package func isFull(now: Moment) -> Bool { fullAt <= Double(now.milliseconds) }
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

    /// The first moment after this one that is a multiple of `interval`, a millisecond or more. What happens again and again
    /// keeps to it, so that all that has the same interval is done in one wake-up, and what is sent comes together.
    package func next(multipleOf interval: Duration) -> Moment {
        let length = max(1, Moment(milliseconds: 0).advanced(by: interval).milliseconds)
        return Moment(milliseconds: (milliseconds / length + 1) * length)
    }
}
