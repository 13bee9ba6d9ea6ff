/// A cron line of five fields: minute, hour, day of the month, month, day of the week.
///
/// Each field is `*`, a number, a range, a list of them, with a step if wanted: `*/15`, `9-17`, `1,15`, `10-50/20`. Months
/// and days of the week also by the first three letters of their English names, Sunday is 0 or 7. `@hourly`, `@daily`
/// (`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand for a whole line.
///
/// As in the original: where both days are restricted, that is neither field begins with `*`, a day that fits one of them
/// is enough.
package struct CronLine: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    /// Bit n stands for the number n.
    let minutes: UInt64
    let hours: UInt64
    let days: UInt64
    let months: UInt64
    let weekdays: UInt64
    /// Whether a day that fits one of both fields is enough.
    let eitherDay: Bool
    /// Whether the hour is `*` or a step of it, so that the line says how often, not when by the clock on the wall.
    let isEveryHour: Bool

    /// Why text is no cron line, for people.
    package struct Invalid: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Invalid) {
        let words = text.split { $0 == " " || $0 == "\t" }
        description = words.joined(separator: " ")
        var fields = words
        if words.count == 1, let word = words.first, word.hasPrefix("@") {
            guard let line = CronLine.macros[word.lowercased()] else {
                let known = CronLine.macros.keys.sorted().joined(separator: ", ")
                throw Invalid(description: "\(word) is not known; there are \(known)")
            }
            fields = line.split(separator: " ")
        }
        guard fields.count == 5 else {
            throw Invalid(
                description: "a cron line has five fields (minute, hour, day of the month, month, day of the week), "
                    + "this one has \(fields.count)")
        }
        minutes = try Field.minute.parse(fields[0])
        hours = try Field.hour.parse(fields[1])
        days = try Field.day.parse(fields[2])
        months = try Field.month.parse(fields[3])
        let named = try Field.weekday.parse(fields[4])
        // Sunday by both of its numbers.
        weekdays = (named | named >> 7) & 0x7F
        eitherDay = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
        isEveryHour = fields[1].hasPrefix("*")
        guard hasDay else { throw Invalid(description: "no year has such a day: the line would never fire") }
    }

    private static let macros = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// Whether any month of the line is long enough for one of its days.
    private var hasDay: Bool {
        guard !eitherDay else { return true }
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return lengths.enumerated().contains { month, length in
            months & 1 << UInt64(month + 1) != 0 && days & ((1 << UInt64(length + 1)) - 1) != 0
        }
    }

    func matches(_ date: CivilDate) -> Bool {
        guard months & 1 << UInt64(date.month) != 0 else { return false }
        let day = days & 1 << UInt64(date.day) != 0
        let weekday = weekdays & 1 << UInt64(date.weekday) != 0
        return eitherDay ? day || weekday : day && weekday
    }
}

/// One of the five fields: its name, its numbers and the words that stand for some of them.
private struct Field {
    let name: String
    let range: ClosedRange<Int>
    var words: [String] = []

    static let minute = Field(name: "minute", range: 0...59)
    static let hour = Field(name: "hour", range: 0...23)
    static let day = Field(name: "day of the month", range: 1...31)
    static let month = Field(
        name: "month", range: 1...12,
        words: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    static let weekday = Field(
        name: "day of the week", range: 0...7, words: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])

    func parse(_ text: Substring) throws(CronLine.Invalid) -> UInt64 {
        var bits: UInt64 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) { bits |= try parse(part: part) }
        return bits
    }

    private func parse(part: Substring) throws(CronLine.Invalid) -> UInt64 {
        let pieces = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var step = 1
        if pieces.count == 2 {
            guard let number = CronLine.number(pieces[1]), (1...59).contains(number) else {
                throw invalid(part, "the step after / is a number from 1 to 59")
            }
            step = number
        }
        let (low, high): (Int, Int)
        if pieces[0] == "*" {
            // Seven is another name for Sunday, not an eighth day.
            (low, high) = (range.lowerBound, range.upperBound == 7 ? 6 : range.upperBound)
        } else {
            let ends = pieces[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            low = try value(ends[0], of: part)
            if ends.count == 2 {
                high = try value(ends[1], of: part)
            } else {
                // As in the original: a number with a step counts up to the end.
                high = pieces.count == 2 ? range.upperBound : low
            }
        }
        guard low <= high else { throw invalid(part, "a range goes from the smaller number to the greater one") }
        return stride(from: low, through: high, by: step).reduce(0) { $0 | 1 << UInt64($1) }
    }

    private func value(_ text: Substring, of part: Substring) throws(CronLine.Invalid) -> Int {
        if let index = words.firstIndex(of: text.lowercased()) { return index + (range.lowerBound == 1 ? 1 : 0) }
        guard let number = CronLine.number(text), range.contains(number) else {
            let also = words.isEmpty ? "" : ", or " + words.joined(separator: ", ")
            throw invalid(part, "it takes \(range.lowerBound) to \(range.upperBound)\(also)")
        }
        return number
    }

    private func invalid(_ part: Substring, _ problem: String) -> CronLine.Invalid {
        CronLine.Invalid(description: "the field \(name) cannot be \"\(part)\": \(problem)")
    }
}

extension CronLine {
    /// One or two digits.
    fileprivate static func number(_ text: Substring) -> Int? {
        (1...2).contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
    }
}
