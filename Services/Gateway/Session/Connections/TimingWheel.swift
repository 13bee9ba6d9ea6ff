/// The deadlines of many connections, by the second: adding one and finding those that are due cost the same however many
/// there are. A deadline that no longer matters stays until it is due; whoever gets it looks whether it still holds.
package struct TimingWheel<Entry: Sendable>: Sendable {
    private var slots: [DueSecond: [Entry]] = [:]
    private var next: UInt32

    package init(now: Moment) { next = DueSecond.whole(now) }

    package mutating func schedule(_ entry: Entry, at moment: Moment) { schedule(entry, at: DueSecond(moment)) }

    package mutating func schedule(_ entry: Entry, at second: DueSecond) {
        slots[max(DueSecond(next), second), default: []].append(entry)
    }

    /// Removes and returns what is due, earliest first.
    package mutating func advance(to now: Moment) -> [Entry] {
        let second = DueSecond.whole(now)
        guard second >= next else { return [] }
        defer { next = second + 1 }
        // After a long sleep of the machine, going through the slots that exist is cheaper than through the seconds.
        if second - next > UInt32(clamping: slots.count) {
            let due = slots.keys.filter { $0 <= DueSecond(second) }.sorted()
            return due.flatMap { slots.removeValue(forKey: $0) ?? [] }
        }
        return (next...second).flatMap { slots.removeValue(forKey: DueSecond($0)) ?? [] }
    }
}

/// A second of the monotonic clock at whose beginning something is due: a moment rounded up, so that it is never early.
package struct DueSecond: Sendable, Hashable, Comparable {
    private let number: UInt32

    fileprivate init(_ number: UInt32) { self.number = number }

    package init(_ moment: Moment) { number = UInt32(clamping: (max(0, moment.milliseconds) + 999) / 1000) }

    /// Later than any that comes.
    package static let never = DueSecond(.max)

    package static func < (left: DueSecond, right: DueSecond) -> Bool { left.number < right.number }

    /// Whether it has come.
    package func isDue(_ now: Moment) -> Bool { number <= DueSecond.whole(now) }

    /// The last second that has begun. The very last of all is kept for ``never``.
    fileprivate static func whole(_ now: Moment) -> UInt32 {
        min(.max - 1, UInt32(clamping: max(0, now.milliseconds) / 1000))
    }
}
