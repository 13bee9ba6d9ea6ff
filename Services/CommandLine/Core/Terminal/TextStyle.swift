/// How a piece of text looks on a terminal.
public enum TextStyle: String, Sendable, CaseIterable {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case blue = "34"
    case magenta = "35"
    case cyan = "36"
}

/// Applies styles where the output is a terminal that shows them, and leaves text alone elsewhere.
public struct Styler: Sendable, Equatable {
    public let isEnabled: Bool

    public init(isEnabled: Bool) { self.isEnabled = isEnabled }

    /// Follows the usual conventions: no colours in a file or a pipe, with `NO_COLOR` set, or on a `dumb` terminal.
    public init(isTerminal: Bool, environment: [String: String]) {
        let isRefused = !(environment["NO_COLOR"] ?? "").isEmpty
        isEnabled = isTerminal && !isRefused && environment["TERM"] != "dumb"
    }

    public func callAsFunction(_ text: String, _ styles: TextStyle...) -> String {
        guard isEnabled, !styles.isEmpty, !text.isEmpty else { return text }
        return "\u{1B}[\(styles.map(\.rawValue).joined(separator: ";"))m\(text)\u{1B}[0m"
    }
}
