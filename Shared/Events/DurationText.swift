/// Durations as people write them: `500ms`, `30s`, `5m`, `24h`, `7d`; a bare number is seconds.
public enum DurationText {
    /// - Returns: nil for anything else, for negative values and for what exceeds 100 years.
    public static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let amount = Double(digits), amount.isFinite else { return nil }
        let factor: Double
        switch text.dropFirst(digits.count) {
        case "ms": factor = 0.001
        case "s", "": factor = 1
        case "m": factor = 60
        case "h": factor = 3600
        case "d": factor = 86_400
        default: return nil
        }
        let seconds = amount * factor
        guard seconds <= 100 * 365.25 * 86_400 else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    /// The shortest text that ``parse(_:)`` reads back, to the millisecond.
    public static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if milliseconds != 0 { return "\(seconds * 1000 + milliseconds)ms" }
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
        where seconds != 0 && seconds % length == 0 {
            return "\(seconds / length)\(unit)"
        }
        return "\(seconds)s"
    }
}
