internal import CommandLineCore
internal import JSON

/// One thing's properties as people read them: a title and a value per line.
struct FieldList {
    private static let titleWidth = 10

    let console: Console

    init(_ console: Console) { self.console = console }

    /// Nothing where there is no value.
    func line(_ title: String, _ text: String?, style: TextStyle? = nil) {
        guard let text, !text.isEmpty else { return }
        let safe = TerminalText.safe(text)
        console.line(titled(title) + (style.map { console.styler(safe, $0) } ?? safe))
    }

    /// A value as JSON, on one line if it fits and below its title otherwise.
    func value(_ title: String, _ value: JSONValue?) {
        guard let value, !value.isNull, value != [:] else { return }
        let pretty = PrettyJSON(styler: console.styler, columns: min(console.columns, 120))
        let isShort = TerminalText.width(value.description) + FieldList.titleWidth < min(console.columns, 120)
        if isShort { return console.line(titled(title) + pretty.text(value)) }
        console.line(console.styler(title, .dim))
        console.line(pretty.text(value))
    }

    /// What went wrong with the attempts: `[{"attempt", "message", "at"}]`.
    func errors(_ value: JSONValue?) {
        guard let errors = value?.arrayValue, !errors.isEmpty else { return }
        console.line(console.styler("errors", .dim))
        for error in errors {
            let attempt = error["attempt"]?.integerValue.map { "attempt \($0)" } ?? ""
            let message = TerminalText.safe(error["message"]?.stringValue ?? "")
            let time = TerminalText.safe(error["at"]?.stringValue ?? "")
            console.line("  " + console.styler("\(time)  \(attempt)", .dim) + "  " + console.styler(message, .red))
        }
    }

    private func titled(_ title: String) -> String {
        console.styler(TerminalText.padded(title, to: FieldList.titleWidth), .dim)
    }
}
