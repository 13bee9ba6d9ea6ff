/// A moment, in nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Reading the clock is for programs; everything below takes a `Timestamp` as an argument. It reaches from the year 1677
/// to 2262; arithmetic that would leave this range stops at its ends.
public struct Timestamp: Sendable, Hashable, Comparable, InstantProtocol {
    public let nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public init(seconds: Int64) { nanoseconds = Timestamp.nanoseconds(seconds: seconds, plus: 0) }

    public var seconds: Int64 {
        Timestamp.floorDivide(nanoseconds, 1_000_000_000)
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let distance = Timestamp.nanoseconds(seconds: seconds, plus: attoseconds / 1_000_000_000)
        let (sum, overflow) = nanoseconds.addingReportingOverflow(distance)
        return Timestamp(nanoseconds: overflow ? (distance < 0 ? .min : .max) : sum)
    }

    public func duration(to other: Timestamp) -> Duration {
        .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds)
    }

    private static func nanoseconds(seconds: Int64, plus rest: Int64) -> Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowOfSum) = product.addingReportingOverflow(rest)
        return overflow || overflowOfSum ? (seconds < 0 ? .min : .max) : sum
    }
}

// MARK: - RFC 3339

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with as many of milliseconds, microseconds or nanoseconds as needed: `2026-01-01T00:00:00Z`.
    public var description: String {
        let total = seconds
        let days = Timestamp.floorDivide(total, 86_400)
        let secondOfDay = total - days * 86_400
        let (year, month, day) = Timestamp.civil(fromDays: days)
        // Wraps for the first second of the range, where the product is out of it but the difference is not.
        let fraction = nanoseconds &- total &* 1_000_000_000
        let (fractionWidth, shownFraction): (Int, Int64) =
            if fraction == 0 {
                (0, 0)
            } else if fraction % 1_000_000 == 0 {
                (3, fraction / 1_000_000)
            } else if fraction % 1_000 == 0 {
                (6, fraction / 1_000)
            } else {
                (9, fraction)
            }
        // Every message about a task holds some of these, so they are written without texts in between.
        return String(unsafeUninitializedCapacity: 40) { buffer in
            var end = 0
            func put(_ value: Int64, _ width: Int, behind mark: UInt8? = nil) {
                if let mark {
                    buffer[end] = mark
                    end += 1
                }
                var rest = value
                for index in (end..<end + width).reversed() {
                    buffer[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                end += width
            }
            put(year, 4)
            put(month, 2, behind: UInt8(ascii: "-"))
            put(day, 2, behind: UInt8(ascii: "-"))
            put(secondOfDay / 3600, 2, behind: UInt8(ascii: "T"))
            put(secondOfDay / 60 % 60, 2, behind: UInt8(ascii: ":"))
            put(secondOfDay % 60, 2, behind: UInt8(ascii: ":"))
            if fractionWidth > 0 { put(shownFraction, fractionWidth, behind: UInt8(ascii: ".")) }
            buffer[end] = UInt8(ascii: "Z")
            return end + 1
        }
    }

    /// Reads RFC 3339 (`2026-01-01T00:00:00.5+02:00`); nil for anything else.
    public init?(rfc3339 text: String) {
        var rest = Substring(text)
        func number(_ digits: Int) -> Int64? {
            let head = rest.prefix(digits)
            guard head.utf8.count == digits, head.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
            rest = rest.dropFirst(digits)
            return Int64(head)
        }
        func take(_ options: String) -> Character? {
            guard let first = rest.first, options.contains(first) else { return nil }
            rest = rest.dropFirst()
            return first
        }
        guard let year = number(4), take("-") != nil, let month = number(2), take("-") != nil, let day = number(2),
            take("Tt ") != nil, let hour = number(2), take(":") != nil, let minute = number(2), take(":") != nil,
            let second = number(2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if take(".") != nil {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard !digits.isEmpty else { return nil }
            rest = rest.dropFirst(digits.count)
            let nine = digits.prefix(9)
            fraction = (Int64(nine) ?? 0) * (0..<(9 - nine.count)).reduce(1) { power, _ in power * 10 }
        }
        var offset: Int64 = 0
        switch take("Zz+-") {
        case "Z", "z": break
        case let sign?:
            guard let hours = number(2), take(":") != nil, let minutes = number(2), hours < 24, minutes < 60 else {
                return nil
            }
            offset = (hours * 3600 + minutes * 60) * (sign == "-" ? -1 : 1)
        case nil: return nil
        }
        guard rest.isEmpty else { return nil }
        let days = Timestamp.days(year: year, month: month, day: day)
        // A day that its month does not have would come out as one of the next month.
        guard Timestamp.civil(fromDays: days).day == day else { return nil }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        let total = Int128(seconds) * 1_000_000_000 + Int128(fraction)
        guard let nanoseconds = Int64(exactly: total) else { return nil }
        self.init(nanoseconds: nanoseconds)
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value / divisor - (value % divisor < 0 ? 1 : 0)
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, by eras of 400 years that begin in March.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
