import Events
import TestKit
import Testing

@Suite("A timestamp")
struct TimestampTests {
    static let moments: [(String, Int64)] = [
        ("1970-01-01T00:00:00Z", 0), ("2026-01-01T00:00:00Z", 1_767_225_600_000_000_000),
        ("2000-02-29T12:34:56Z", 951_827_696_000_000_000), ("1969-12-31T23:59:59.999Z", -1_000_000),
        ("1999-12-31T23:59:59.123456789Z", 946_684_799_123_456_789),
        ("1900-03-01T00:00:00Z", -2_203_891_200_000_000_000),
        ("2262-04-11T23:47:16.854775807Z", .max), ("1677-09-21T00:12:43.145224192Z", .min),
        ("2100-02-28T23:59:59.5Z", 4_107_542_399_500_000_000),
        ("2026-01-01T00:00:00.000001Z", 1_767_225_600_000_001_000),
    ]

    @Test("is written and read as RFC 3339 has it", arguments: moments)
    func known(text: String, nanoseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.nanoseconds == nanoseconds)
        let expected = text == "2100-02-28T23:59:59.5Z" ? "2100-02-28T23:59:59.500Z" : text
        #expect(Timestamp(nanoseconds: nanoseconds).description == expected)
    }

    @Test(
        "is read with any offset, case and fraction",
        arguments: [
            ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
            ("2025-12-31t19:30:00.25-04:30", "2026-01-01T00:00:00.250Z"),
            ("2026-01-01 00:00:00z", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.1234567891234Z", "2026-01-01T00:00:00.123456789Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ])
    func forms(text: String, expected: String) {
        #expect(Timestamp(rfc3339: text)?.description == expected)
    }

    @Test(
        "is nothing else",
        arguments: [
            "", "2026-01-01", "2026-01-01T00:00:00", "2026-1-1T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+0100", " 2026-01-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z", "-026-01-01T00:00:00Z",
            "1600-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00.5", "+2026-01-01T00:00:00Z",
        ])
    func invalid(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test("comes back from its text over the whole range", arguments: 0..<20 as Range<UInt64>)
    func roundTrip(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let time = Timestamp(nanoseconds: Int64.random(in: .min ... .max, using: &generator))
            #expect(Timestamp(rfc3339: time.description) == time, "seed \(seed): \(time.nanoseconds)")
        }
    }

    @Test("stays within its range and never traps")
    func saturates() {
        #expect(Timestamp(seconds: .max).nanoseconds == .max)
        #expect(Timestamp(seconds: .min).nanoseconds == .min)
        #expect(Timestamp(nanoseconds: .max).advanced(by: .seconds(1)).nanoseconds == .max)
        #expect(Timestamp(nanoseconds: .min).advanced(by: .seconds(-1)).nanoseconds == .min)
        #expect(Timestamp(seconds: 0).advanced(by: .seconds(Int64.max)).nanoseconds == .max)
        #expect(Timestamp(nanoseconds: .min).duration(to: Timestamp(nanoseconds: .max)) > .seconds(18_000_000_000))
        #expect(Timestamp(nanoseconds: -1).seconds == -1)
        #expect(Timestamp(nanoseconds: .min).seconds == -9_223_372_037)
    }
}

@Suite("A duration as people write it")
struct DurationTextTests {
    @Test(
        "is read",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("30", .seconds(30)), ("5m", .seconds(300)),
            ("24h", .seconds(86_400)), ("7d", .seconds(604_800)), ("1.5s", .milliseconds(1500)), ("0", .zero),
            ("0.5h", .seconds(1800)),
        ])
    func valid(text: String, duration: Duration) { #expect(DurationText.parse(text) == duration) }

    @Test(
        "is nothing else",
        arguments: [
            "", "s", "-5s", "5 s", "5x", "1e3s", "١s", "5ms5", "1.2.3s", ".", "nan", "inf", "99999999999999999999d",
            "101000d",
        ])
    func invalid(text: String) { #expect(DurationText.parse(text) == nil) }

    @Test(
        "comes back from its text",
        arguments: [0, 1, 999, 1000, 1500, 60_000, 3_600_000, 86_400_000, 90_061_001] as [Int64])
    func roundTrip(milliseconds: Int64) {
        let duration = Duration.milliseconds(milliseconds)
        #expect(DurationText.parse(DurationText.format(duration)) == duration)
    }
}
