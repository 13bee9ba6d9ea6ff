public import JSON

/// One thing that `apus doctor` looked at.
public struct Finding: Sendable, Equatable {
    public enum Grade: String, Sendable, CaseIterable {
        case ok
        /// Works, but somebody should know.
        case warning
        /// Does not work.
        case problem
    }

    public let grade: Grade
    public let subject: String
    public let detail: String
    /// What to do about it.
    public let remedy: String?

    public init(_ grade: Grade, _ subject: String, _ detail: String, remedy: String? = nil) {
        self.grade = grade
        self.subject = subject
        self.detail = detail
        self.remedy = remedy
    }

    /// One line, and a second one with the remedy.
    public func lines(_ styler: Styler, subjectColumns: Int) -> [String] {
        let mark =
            switch grade {
            case .ok: styler("ok     ", .green)
            case .warning: styler("warning", .yellow)
            case .problem: styler("problem", .red)
            }
        var lines = [
            "\(mark)  \(TerminalText.padded(subject, to: subjectColumns))  \(TerminalText.safe(detail))"
        ]
        if let remedy {
            lines.append(String(repeating: " ", count: subjectColumns + 11) + "→ " + TerminalText.safe(remedy))
        }
        return lines
    }

    public var json: JSONValue {
        [
            "grade": .string(grade.rawValue), "subject": .string(subject), "detail": .string(detail),
            "remedy": remedy.map { .string($0) } ?? .null,
        ]
    }
}
