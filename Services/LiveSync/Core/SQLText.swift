/// Names and texts as SQL writes them. The only places where a name from outside gets into a statement; values never do,
/// they are bound.
package enum SQLText {
    /// `name` in double quotes: any table or column name, reserved words and quotes included.
    package static func identifier(_ name: String) -> String {
        "\"" + name.replacing("\"", with: "\"\"") + "\""
    }

    /// `text` as a string literal, for statements that cannot have parameters, such as triggers.
    package static func literal(_ text: String) -> String {
        "'" + text.replacing("'", with: "''") + "'"
    }

    /// The text of several text expressions joined by `||`, as a balanced tree: a chain of as many operators as a table
    /// has columns would exceed SQLite's limit on the depth of an expression.
    static func concatenation(_ parts: [String]) -> String {
        guard parts.count > 2 else { return parts.isEmpty ? "''" : parts.joined(separator: " || ") }
        let middle = parts.count / 2
        return "(\(concatenation(Array(parts[..<middle])))) || (\(concatenation(Array(parts[middle...]))))"
    }
}
