package import Events

/// When a cron line fires in a time zone.
///
/// Where clocks are put forward or back, a line that names hours and one that says how often differ:
/// - A line that **names hours** (`30 2 * * *`) fires once for each time that it names. A time that the day does not have,
///   since it lies in the hour that is left out, fires at the moment at which the clocks were put forward; one that the
///   day has twice fires the first time.
/// - A line **for every hour** (`*/15 * * * *`, `0 */2 * * *`) follows the time that passes: nothing for an hour that does
///   not exist, and both of two hours with the same name.
package struct CronFirings: Sendable {
    package let line: CronLine
    package let zone: TimeZoneRules

    /// Past this many days without a firing none is looked for: the 29th of February may be eight years away.
    private static let horizon: Int64 = 9 * 366
    private static let dayLength: Int64 = 86_400

    package init(_ line: CronLine, in zone: TimeZoneRules) {
        self.line = line
        self.zone = zone
    }

    /// The first firing later than `moment`; nil if there is none within nine years.
    package func next(after moment: Timestamp) -> Timestamp? {
        let after = moment.seconds
        // Beyond what any clock shows, arithmetic would leave the range.
        guard (-60_000_000_000...200_000_000_000).contains(after) else { return nil }
        // The wall may have been put back by then, so it begins a day early.
        let start = CivilDate.floorDivide(after + zone.offset(after), CronFirings.dayLength) - 1
        for day in start...(start + CronFirings.horizon) {
            guard let first = firings(on: day).first(where: { $0 > after }) else { continue }
            // A clock put back over midnight makes the next day begin before this one has ended.
            let second = firings(on: day + 1).first { $0 > after }
            return Timestamp(seconds: min(first, second ?? first))
        }
        return nil
    }

    /// The firings later than `moment` up to `end`, oldest first, at most the newest `limit`.
    /// - Returns: also how many were left out.
    package func all(after moment: Timestamp, through end: Timestamp, limit: Int) -> (
        firings: [Timestamp], omitted: Int
    ) {
        let (after, last) = (moment.seconds, end.seconds)
        guard after < last, (-60_000_000_000...200_000_000_000).contains(after) else { return ([], 0) }
        let start = CivilDate.floorDivide(after + zone.offset(after), CronFirings.dayLength) - 1
        let stop = CivilDate.floorDivide(last + zone.offset(last), CronFirings.dayLength) + 1
        var found: [Int64] = []
        var omitted = 0
        for day in start...min(stop, start + CronFirings.horizon) {
            found += firings(on: day).filter { $0 > after && $0 <= last }
            guard found.count > limit else { continue }
            found.sort()
            omitted += found.count - limit
            found.removeFirst(found.count - limit)
        }
        return (found.sorted().map { Timestamp(seconds: $0) }, omitted)
    }

    /// The moments at which the line fires on a day of the wall's calendar, in order.
    private func firings(on day: Int64) -> [Int64] {
        guard line.matches(CivilDate(number: day)) else { return [] }
        let midnight = day * CronFirings.dayLength
        let before = zone.offset(midnight - CronFirings.dayLength)
        let later = zone.offset(midnight + 2 * CronFirings.dayLength)
        guard before != later else { return walls(midnight).map { $0 - before } }
        var moments: Set<Int64> = []
        for wall in walls(midnight) {
            // The earlier one comes of the greater offset.
            let meant = [max(before, later), min(before, later)].map { wall - $0 }
                .filter { $0 + zone.offset($0) == wall }
            if line.isEveryHour {
                moments.formUnion(meant)
            } else {
                moments.insert(
                    meant.first ?? change(between: wall - max(before, later), and: wall - min(before, later)))
            }
        }
        return moments.sorted()
    }

    /// What the wall shows at the firings of a day, in seconds, in order.
    private func walls(_ midnight: Int64) -> [Int64] {
        var walls: [Int64] = []
        for hour in 0..<24 where line.hours & 1 << UInt64(hour) != 0 {
            for minute in 0..<60 where line.minutes & 1 << UInt64(minute) != 0 {
                walls.append(midnight + Int64(hour * 3600 + minute * 60))
            }
        }
        return walls
    }

    /// The moment within the bounds at which the offset changes.
    private func change(between low: Int64, and high: Int64) -> Int64 {
        var (low, high) = (low, high)
        let old = zone.offset(low)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if zone.offset(middle) == old { low = middle } else { high = middle }
        }
        return high
    }
}
