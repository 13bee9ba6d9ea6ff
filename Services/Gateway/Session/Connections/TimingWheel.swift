/// The deadlines of many connections, by the second: adding one and finding those that are due cost the same however many
/// there are. A deadline that no longer matters stays until it is due; whoever gets it looks whether it still holds.
package struct TimingWheel<Entry: Sendable>: Sendable {
    private var slots: [Int64: [Entry]] = [:]
    private var nextSecond: Int64

    package init(now: Moment) { nextSecond = now.milliseconds / 1000 }

    package mutating func schedule(_ entry: Entry, at moment: Moment) {
        // Rounded up: never early.
        let second = max(nextSecond, (moment.milliseconds + 999) / 1000)
        slots[second, default: []].append(entry)
    }

    /// Removes and returns what is due, earliest first.
    package mutating func advance(to now: Moment) -> [Entry] {
        let second = now.milliseconds / 1000
        guard second >= nextSecond else { return [] }
        defer { nextSecond = second + 1 }
        // After a long sleep of the machine, going through the slots that exist is cheaper than through the seconds.
        if second - nextSecond > Int64(slots.count) {
            let due = slots.keys.filter { $0 <= second }.sorted()
            return due.flatMap { slots.removeValue(forKey: $0) ?? [] }
        }
        return (nextSecond...second).flatMap { slots.removeValue(forKey: $0) ?? [] }
    }
}
