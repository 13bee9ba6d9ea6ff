/// Durations as people read them: `850 ns`, `3.4 ms`, `12.1 s`, `4 min 5 s`.
public enum DurationDisplay {
    public static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return "0 s" }
        if seconds >= 3600 { return "\(seconds / 3600) h \(seconds / 60 % 60) min" }
        if seconds >= 60 { return "\(seconds / 60) min \(seconds % 60) s" }
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        switch nanoseconds {
        case ..<1_000: return "\(nanoseconds) ns"
        case ..<1_000_000: return "\(tenths(nanoseconds, 1_000)) µs"
        case ..<1_000_000_000: return "\(tenths(nanoseconds, 1_000_000)) ms"
        default: return "\(tenths(nanoseconds, 1_000_000_000)) s"
        }
    }

    /// `value / unit` with one decimal, cut off.
    private static func tenths(_ value: Int64, _ unit: Int64) -> String {
        let tenths = value / (unit / 10)
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
