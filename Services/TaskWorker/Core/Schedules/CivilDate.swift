/// A day of the Gregorian calendar.
struct CivilDate: Sendable, Hashable {
    let year: Int64
    /// From 1.
    let month: Int
    /// From 1.
    let day: Int
    /// 0 is Sunday.
    let weekday: Int

    /// - Parameter number: days since 1970-01-01.
    init(number: Int64) {
        // By eras of 400 years that begin in March.
        let shifted = number + 719_468
        let era = CivilDate.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        self.month = Int(month)
        day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        // The first of January 1970 was a Thursday.
        let weekday = (number + 4) % 7
        self.weekday = Int(weekday < 0 ? weekday + 7 : weekday)
    }

    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value / divisor - (value % divisor < 0 ? 1 : 0)
    }
}
