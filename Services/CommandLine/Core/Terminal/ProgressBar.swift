/// A bar that fills from left to right, in one line of a given width.
///
/// ```
/// dataset.summarize  ━━━━━━━━━━━━━━━━╺──────────────  52 %  read 5.2 of 10 MB
/// ```
public struct ProgressBar: Sendable, Equatable {
    public var label: String
    /// 0 to 100; what lies outside, or is no number, counts as the nearer end.
    public var percent: Double
    public var message: String

    public init(label: String, percent: Double, message: String = "") {
        self.label = label
        self.percent = percent
        self.message = message
    }

    public enum Glyphs: Sendable {
        case unicode
        case ascii

        /// By the character set that the locale names.
        public init(environment: [String: String]) {
            let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
            let name = locale.lowercased()
            self = name.contains("utf-8") || name.contains("utf8") ? .unicode : .ascii
        }

        fileprivate var filled: Character { self == .unicode ? "━" : "#" }
        fileprivate var empty: Character { self == .unicode ? "─" : "-" }
    }

    static let barColumns = 10...40

    /// The line, at most `columns` wide. A narrow terminal loses the message first, then the label, never the number.
    public func line(columns: Int, glyphs: Glyphs, styler: Styler, style: TextStyle = .cyan) -> String {
        let percent = percent.isNaN ? 0 : min(100, max(0, percent))
        // Never "100 %" before it is: a bar that waits at the end looks stuck.
        let number = TerminalText.padded("\(Int(percent))", to: 3, alignment: .right) + " %"
        let message = TerminalText.safe(message)
        let label = TerminalText.safe(label)
        let fixed = number.count + 2
        let forLabel = TerminalText.width(label) + 2
        var rest = columns - fixed - ProgressBar.barColumns.lowerBound
        let showsLabel = !label.isEmpty && rest >= forLabel
        if showsLabel { rest -= forLabel }
        let wanted = message.isEmpty ? 0 : TerminalText.width(message) + 2
        let forMessage = rest >= 8 ? min(wanted, rest) : 0
        rest -= forMessage
        let bar = min(
            ProgressBar.barColumns.upperBound, max(0, ProgressBar.barColumns.lowerBound + rest))
        let filled = Int((percent / 100 * Double(bar)).rounded(.down))
        var line = showsLabel ? label + "  " : ""
        line += styler(String(repeating: glyphs.filled, count: filled), style)
        line += styler(String(repeating: glyphs.empty, count: bar - filled), .dim)
        line += "  " + number
        if forMessage > 2 { line += "  " + styler(TerminalText.truncated(message, to: forMessage - 2), .dim) }
        return line
    }
}
