public import JSON

/// JSON for people: indented, short arrays and objects in one line, keys and texts in colour.
public struct PrettyJSON: Sendable {
    private let styler: Styler
    /// What fits is written in one line.
    private let columns: Int

    public init(styler: Styler, columns: Int = 80) {
        self.styler = styler
        self.columns = columns
    }

    /// The lines of `value`, each beginning with `indent` spaces but the first.
    public func text(_ value: JSONValue, indent: Int = 0) -> String {
        var output = ""
        write(value, depth: indent, to: &output)
        return output
    }

    private func write(_ value: JSONValue, depth: Int, to output: inout String) {
        let isShort = depth + TerminalText.width(compact(value, Styler(isEnabled: false))) <= columns
        switch value {
        case .array(let elements) where !isShort && !elements.isEmpty:
            output += "[\n"
            for (index, element) in elements.enumerated() {
                output += spaces(depth + 2)
                write(element, depth: depth + 2, to: &output)
                output += index == elements.count - 1 ? "\n" : ",\n"
            }
            output += spaces(depth) + "]"
        case .object(let members) where !isShort && !members.isEmpty:
            output += "{\n"
            for (index, (key, member)) in members.enumerated() {
                output += spaces(depth + 2) + styler(scalar(.string(key)), .blue) + ": "
                write(member, depth: depth + 2, to: &output)
                output += index == members.count - 1 ? "\n" : ",\n"
            }
            output += spaces(depth) + "}"
        default: output += compact(value, styler)
        }
    }

    private func compact(_ value: JSONValue, _ styler: Styler) -> String {
        switch value {
        case .array(let elements): "[" + elements.map { compact($0, styler) }.joined(separator: ", ") + "]"
        case .object(let members):
            members.isEmpty
                ? "{}"
                : "{"
                    + members.map { "\(styler(scalar(.string($0.key)), .blue)): \(compact($0.value, styler))" }
                    .joined(separator: ", ") + "}"
        case .string: styler(scalar(value), .green)
        case .integer, .double: styler(scalar(value), .yellow)
        case .bool, .null: styler(scalar(value), .magenta)
        }
    }

    /// As JSON writes it, with what the serialiser leaves as it is and a terminal would obey written out.
    private func scalar(_ value: JSONValue) -> String { TerminalText.safe(value.description) }

    private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}
