internal import JSON

/// SQL expressions that give a row, or its key, as JSON text.
///
/// Triggers and snapshots use the same ones, so a value looks the same wherever it comes from: integers and reals exactly
/// (an infinite real as the string `"Infinity"` or `"-Infinity"`), text as a string, a blob as `{"hex":"0aff"}`, NULL as
/// null, and a value that is too large as `{"omitted":<its length>}`. No column's value is otherwise an object, so the
/// three cannot be mistaken.
///
/// The text is joined by hand rather than by `json_object`, which takes at most 63 members, refuses blobs (and with them
/// the statement of the program that writes) and rounds reals to 15 digits.
package struct RowExpression: Sendable {
    package let table: TableDescription
    /// The longest value that is shown: characters of a text, twice the bytes of a blob.
    package let valueLimit: Int

    package init(table: TableDescription, valueLimit: Int) {
        self.table = table
        self.valueLimit = valueLimit
    }

    /// The row that `row` names (`NEW`, `OLD` or the alias of a table), all its columns or those given.
    package func instance(of row: String, columns: [String]? = nil) -> String {
        let shown = table.columns.filter { columns?.contains($0.name) ?? true }
        return object(shown.map { member($0.name, value(of: $0, in: row, limit: valueLimit)) })
    }

    /// The key of the row that `row` names.
    ///
    /// SQLite lets the columns of most primary keys be NULL, any number of times; such a row's key also holds its row number.
    package func key(of row: String) -> String {
        guard case .rowID(let rowID) = table.identity else { return object(members(table.primaryKey, in: row)) }
        let number = member(rowID, "\(row).\(SQLText.identifier(rowID))")
        guard !table.primaryKey.isEmpty else { return object([number]) }
        let isIncomplete = table.primaryKey.map { "\(row).\(SQLText.identifier($0)) IS NULL" }
            .joined(separator: " OR ")
        return SQLText.concatenation([
            "'{'", joined(members(table.primaryKey, in: row)),
            "CASE WHEN \(isIncomplete) THEN ',' || \(number) ELSE '' END", "'}'",
        ])
    }

    /// The identity of the row that `row` names, as a JSON array.
    package func identity(of row: String) -> String {
        let values =
            switch table.identity {
            case .columns(let names): names.compactMap(table.column).map { "(\(value(of: $0, in: row, limit: nil)))" }
            case .rowID(let name): ["\(row).\(SQLText.identifier(name))"]
            }
        return SQLText.concatenation([
            "'['", "(" + SQLText.concatenation(values.enumerated().flatMap { $0 == 0 ? [$1] : ["','", $1] }) + ")",
            "']'",
        ])
    }

    /// A condition that the row named `row` is the one whose ``TableDescription/identityColumns`` are `values`.
    package func identifies(_ row: String, _ values: [String]) -> String {
        zip(table.identityColumns, values).map { "\(row).\(SQLText.identifier($0)) = \($1)" }
            .joined(separator: " AND ")
    }

    private func members(_ columns: [String], in row: String) -> [String] {
        columns.compactMap(table.column).map { member($0.name, value(of: $0, in: row, limit: nil)) }
    }

    private func object(_ members: [String]) -> String {
        SQLText.concatenation(["'{'", joined(members), "'}'"])
    }

    private func joined(_ members: [String]) -> String {
        "(" + SQLText.concatenation(members.enumerated().flatMap { $0 == 0 ? [$1] : ["','", $1] }) + ")"
    }

    private func member(_ name: String, _ value: String) -> String {
        "(" + SQLText.literal("\(JSONValue.string(name)):") + " || \(value))"
    }

    private func value(of column: TableDescription.Column, in row: String, limit: Int?) -> String {
        let name = "\(row).\(SQLText.identifier(column.name))"
        // A generated column may be of JSON functions and would then be put in as JSON instead of as text.
        let text = "json_quote(\(name)\(column.isGenerated ? " || ''" : ""))"
        let blob = "'{\"hex\":\"' || lower(hex(\(name))) || '\"}'"
        let omitted = "'{\"omitted\":' || length(\(name)) || '}'"
        func bounded(_ shown: String, _ limit: Int?) -> String {
            limit.map { "CASE WHEN length(\(name)) > \($0) THEN \(omitted) ELSE \(shown) END" } ?? shown
        }
        // 17 digits are too few for SQLite's own printf at very large and small magnitudes; 20 always read back as the same.
        return """
            CASE typeof(\(name)) WHEN 'text' THEN \(bounded(text, limit)) \
            WHEN 'real' THEN CASE WHEN abs(\(name)) <= 1.7976931348623157e308 THEN printf('%!.20g', \(name)) \
            WHEN \(name) > 0 THEN '"Infinity"' ELSE '"-Infinity"' END \
            WHEN 'blob' THEN \(bounded(blob, limit.map { $0 / 2 })) ELSE json_quote(\(name)) END
            """
    }
}
