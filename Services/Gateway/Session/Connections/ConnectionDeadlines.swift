/// When something is due for a connection. One entry in the shard's wheel stands for all of it: that for the earliest.
struct ConnectionDeadlines: Sendable, Equatable {
    /// The next ping, or the look whether it is still there.
    var beat: DueSecond
    /// When to look whether the connection must end: it must have authenticated, or got a new token, by then.
    var end: DueSecond
    /// Which entry of the wheel counts: one for a later second does not, nor does an earlier one that was for nothing.
    private(set) var scheduled = DueSecond.never

    init(beat: DueSecond, end: DueSecond) {
        self.beat = beat
        self.end = end
    }

    /// - Parameter other: the earliest of what is due besides.
    /// - Returns: for when an entry must be made in the wheel; nil if the one that is there comes early enough.
    mutating func schedule(_ other: DueSecond = .never) -> DueSecond? {
        let earliest = min(beat, end, other)
        guard earliest < scheduled else { return nil }
        scheduled = earliest
        return earliest
    }

    /// An entry of the wheel has come.
    /// - Returns: whether it is the one that counts.
    mutating func came(now: Moment) -> Bool {
        guard scheduled.isDue(now) else { return false }
        scheduled = .never
        return true
    }
}
