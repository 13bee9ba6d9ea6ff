import Events
import Foundation
import TaskWorkerCore
import TestKit
import Testing

@Suite struct CronLineTests {
    @Test(
        "what is no cron line is refused with the field and what it takes",
        arguments: [
            ("", "five fields"), ("* * * *", "has 4"), ("* * * * * *", "has 6"), ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"), ("* * 0 * *", "day of the month"), ("* * 32 * *", "day of the month"),
            ("* * * 13 * ", "month"), ("* * * * 8", "day of the week"), ("* * * * fri-mon", "range"),
            ("5-1 * * * *", "range"), ("*/0 * * * *", "step"), ("*/x * * * *", "step"), ("1,,2 * * * *", "minute"),
            ("-1 * * * *", "minute"), ("1- * * * *", "minute"), ("* * * foo *", "jan"), ("@often", "@daily"),
            ("0 0 30 2 *", "never fire"), ("0 0 31 4,6 *", "never fire"), ("¹ * * * *", "minute"),
            ("99999999999999999999 * * * *", "minute"), ("*/1/1 * * * *", "step"),
        ])
    func invalid(text: String, part: String) {
        #expect {
            _ = try CronLine(text)
        } throws: { error in
            "\(error)".contains(part)
        }
    }

    @Test(
        "words and macros mean their numbers",
        arguments: [
            ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@weekly", "0 0 * * sun"), ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 jan *"), ("0 12 * * MON-fri", "0 12 * * 1-5"), ("0 0 1 Dec,feb *", "0 0 1 2,12 *"),
            ("0 0 * * 7", "0 0 * * 0"), ("0 0 * * 5-7", "0 0 * * 0,5,6"), ("10/20 * * * *", "10,30,50 * * * *"),
        ])
    func meanings(text: String, other: String) throws {
        var moment = Timestamp(seconds: 1_700_000_000)
        let (one, two) = (CronFirings(try CronLine(text), in: .utc), CronFirings(try CronLine(other), in: .utc))
        for _ in 0..<20 {
            let next = try #require(one.next(after: moment))
            #expect(two.next(after: moment) == next)
            moment = next
        }
    }
}

/// Against a search that looks at every minute, with Foundation's calendar as the clock on the wall.
@Suite struct CronFiringsTests {
    private static let zones = [
        "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut",
        "America/St_Johns", "Asia/Kathmandu",
    ]

    @Test(
        "the next firing is the first minute that fits, in every zone and over every change of the clocks",
        arguments: 0..<60)
    func bruteForce(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let name = CronFiringsTests.zones[Int.random(in: 0..<CronFiringsTests.zones.count, using: &random)]
        let zone = try #require(TimeZone(identifier: name))
        var start = Date(
            timeIntervalSince1970: Double.random(in: 500_000_000...1_900_000_000, using: &random).rounded())
        if let change = zone.nextDaylightSavingTimeTransition(after: start), seed % 4 != 0 {
            start = change.addingTimeInterval(-Double(Int.random(in: 0...100_000, using: &random)))
        }
        let fields = [
            field(0...59, &random), field(0...(Bool.random(using: &random) ? 4 : 23), &random),
            field(1...28, &random, star: 0.8),
            field(1...12, &random, star: 0.9), field(0...6, &random, star: 0.7),
        ]
        let text = fields.joined(separator: " ")
        let firings = CronFirings(try CronLine(text), in: try #require(TimeZoneRules(named: name)))
        let oracle = Oracle(fields, zone)
        let comment = Comment(rawValue: "seed \(seed): \(text) in \(name) after \(start)")
        var expected: [Timestamp] = []
        var minute = Int64(start.timeIntervalSince1970) / 60 * 60 + 60
        let end = minute + 2 * 86_400
        while minute < end, expected.count < 40 {
            if oracle.fires(at: minute) { expected.append(Timestamp(seconds: minute)) }
            minute += 60
        }
        var moment = Timestamp(seconds: Int64(start.timeIntervalSince1970))
        var found: [Timestamp] = []
        while found.count < expected.count, let next = firings.next(after: moment) {
            found.append(next)
            moment = next
        }
        #expect(found == expected, comment)
        if expected.count < 40 {
            #expect((firings.next(after: moment)?.seconds ?? .max) >= end, comment)
        }
        let from = Timestamp(seconds: Int64(start.timeIntervalSince1970))
        if let last = expected.last {
            let all = firings.all(after: from, through: last, limit: 1000)
            #expect(all.firings == expected && all.omitted == 0, comment)
            let newest = firings.all(after: from, through: last, limit: 1)
            #expect(newest.firings == [last] && newest.omitted == expected.count - 1, comment)
        }
    }

    private func field(_ range: ClosedRange<Int>, _ random: inout SeededGenerator, star: Double = 0.4) -> String {
        let dice = Double.random(in: 0..<1, using: &random)
        if dice < star { return dice < star / 4 ? "*/\(Int.random(in: 1...7, using: &random))" : "*" }
        return (0..<Int.random(in: 1...3, using: &random)).map { _ in
            let low = Int.random(in: range, using: &random)
            guard Bool.random(using: &random) else { return String(low) }
            let high = Int.random(in: low...range.upperBound, using: &random)
            return "\(low)-\(high)" + (Bool.random(using: &random) ? "/\(Int.random(in: 1...5, using: &random))" : "")
        }.joined(separator: ",")
    }

    /// Says of each minute whether a line fires, by what the wall shows then and showed a minute before.
    private struct Oracle {
        let fields: [String]
        let sets: [Set<Int>]
        var calendar = Calendar(identifier: .gregorian)
        let zone: TimeZone

        init(_ fields: [String], _ zone: TimeZone) {
            self.fields = fields
            self.zone = zone
            calendar.timeZone = TimeZone(identifier: "UTC") ?? zone
            sets = zip(fields, [0...59, 0...23, 1...31, 1...12, 0...6]).map { field, range in
                var numbers: Set<Int> = []
                for part in field.split(separator: ",") {
                    let pieces = part.split(separator: "/")
                    let step = pieces.count > 1 ? Int(pieces[1]) ?? 1 : 1
                    let ends = pieces[0].split(separator: "-").compactMap { Int($0) }
                    let (low, high) = (ends.first ?? range.lowerBound, ends.last ?? range.upperBound)
                    for number in low...high where (number - low) % step == 0 { numbers.insert(number) }
                }
                return numbers
            }
        }

        /// What the wall shows, as if it were seconds of UTC.
        private func wall(_ moment: Int64) -> Int64 {
            moment + Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment))))
        }

        private func fits(_ wall: Int64) -> Bool {
            let parts = calendar.dateComponents(
                [.minute, .hour, .day, .month, .weekday], from: Date(timeIntervalSince1970: Double(wall)))
            guard sets[0].contains(parts.minute ?? -1), sets[1].contains(parts.hour ?? -1),
                sets[3].contains(parts.month ?? -1)
            else { return false }
            let (day, weekday) = (sets[2].contains(parts.day ?? -1), sets[4].contains((parts.weekday ?? 0) - 1))
            let either = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
            return either ? day || weekday : day && weekday
        }

        func fires(at moment: Int64) -> Bool {
            let shown = wall(moment)
            if fields[1].hasPrefix("*") { return fits(shown) }
            // Shown for the first time: the wall was never as far in the last hours.
            let before = wall(moment - 60)
            if fits(shown), !stride(from: moment - 3 * 3600, to: moment, by: 60).contains(where: { wall($0) == shown })
            {
                return true
            }
            return stride(from: before + 60, to: shown, by: 60).contains { fits($0) }
        }
    }

    @Test("a firing may be years away, and moments beyond all clocks have none")
    func farAway() throws {
        let leap = CronFirings(try CronLine("0 0 29 2 *"), in: .utc)
        let after = try #require(Timestamp(rfc3339: "2096-03-01T00:00:00Z"))
        #expect(leap.next(after: after)?.description == "2104-02-29T00:00:00Z")
        // No trap at the ends of what a moment can be.
        for end in [Int64.min, .max] { _ = leap.next(after: Timestamp(nanoseconds: end)) }
        #expect(leap.all(after: after, through: after, limit: 5).firings.isEmpty)
        #expect(TimeZoneRules(named: "Mars/Olympus") == nil)
    }
}
