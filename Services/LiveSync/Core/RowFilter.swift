/// Which rows of a table are wanted: conditions that must all hold, read from
/// `published=eq.true&author_id=in.(1,2)&deleted_at=is.null`.
///
/// A condition is `<column>=<operator>.<value>`, the operator one of `eq`, `neq`, `lt`, `lte`, `gt`, `gte`, `in` and `is`,
/// before which may stand `not.`. `%XX` stands for a byte, so a value with `&` is written with `%26`, one with `%` with
/// `%25`. The values of `in` stand in parentheses, with commas between; one with a comma or parenthesis is put in double quotes, in
/// which `\` precedes a quote or backslash. `is` knows only `null`. As in SQL, NULL is neither equal nor unequal to anything.
package struct RowFilter: Sendable, Hashable {
    package enum Operator: String, Sendable, CaseIterable {
        case equal = "eq"
        case notEqual = "neq"
        case less = "lt"
        case lessOrEqual = "lte"
        case greater = "gt"
        case greaterOrEqual = "gte"
        case isIn = "in"
        case isNull = "is"
    }

    package struct Condition: Sendable, Hashable {
        package var column: String
        package var isNegated: Bool
        package var comparison: Operator
        package var values: [String]

        package init(column: String, isNegated: Bool = false, comparison: Operator, values: [String]) {
            self.column = column
            self.isNegated = isNegated
            self.comparison = comparison
            self.values = values
        }
    }

    /// How many values a filter may have, over all conditions.
    package static let maximumValues = 500

    package var conditions: [Condition]

    package init(_ conditions: [Condition] = []) { self.conditions = conditions }

    /// - Throws: ``RequestProblem`` for anything that is not of the form above.
    package init(parsing text: String) throws(RequestProblem) {
        conditions = []
        for part in text.split(separator: "&", omittingEmptySubsequences: false) where !text.isEmpty {
            conditions.append(try RowFilter.condition(part))
        }
        guard conditions.reduce(0, { $0 + $1.values.count }) <= RowFilter.maximumValues else {
            throw RequestProblem("where has more than \(RowFilter.maximumValues) values")
        }
    }

    private static func condition(_ text: Substring) throws(RequestProblem) -> Condition {
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
            throw RequestProblem("a condition of where is written column=operator.value, as in published=eq.true")
        }
        let column = try decoded(text[..<equals])
        var rest = text[text.index(after: equals)...]
        let isNegated = rest.hasPrefix("not.")
        if isNegated { rest = rest.dropFirst(4) }
        let name = rest.prefix { $0 != "." }
        guard let comparison = Operator(rawValue: String(name)), rest.count > name.count else {
            let known = Operator.allCases.map(\.rawValue).joined(separator: ", ")
            throw RequestProblem(
                "the condition on \(column) has no operator; it is one of \(known), then a dot and a value")
        }
        let value = try decoded(rest.dropFirst(name.count + 1))
        let values: [String]
        switch comparison {
        case .isIn: values = try list(value, column: column)
        case .isNull:
            guard value == "null" else { throw RequestProblem("the condition on \(column): is knows only is.null") }
            values = []
        default: values = [value]
        }
        return Condition(column: column, isNegated: isNegated, comparison: comparison, values: values)
    }

    private static func decoded(_ text: Substring) throws(RequestProblem) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = hexadecimal(rest.popFirst()), let low = hexadecimal(rest.popFirst()) else {
                throw RequestProblem("in where, % begins a byte of two hexadecimal digits; the character itself is %25")
            }
            bytes.append(UInt8(high << 4 | low))
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw RequestProblem("where is not UTF-8 once its %XX are bytes")
        }
        return decoded
    }

    private static func hexadecimal(_ byte: UInt8?) -> Int? {
        byte.flatMap { Character(UnicodeScalar($0)).hexDigitValue }
    }

    private static func list(_ text: String, column: String) throws(RequestProblem) -> [String] {
        let problem = RequestProblem("the condition on \(column): the values of in are written (a,b,\"c,d\")")
        guard text.hasPrefix("("), text.hasSuffix(")"), text.count >= 2 else { throw problem }
        var values: [String] = []
        var rest = text.dropFirst().dropLast()
        guard !rest.isEmpty else { return [] }
        while true {
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let character = rest.popFirst(), character != "\"" {
                    guard character == "\\" else {
                        value.append(character)
                        continue
                    }
                    guard let escaped = rest.popFirst() else { throw problem }
                    value.append(escaped)
                }
                guard text.dropLast(rest.count + 1).hasSuffix("\"") else { throw problem }
            } else {
                value = String(rest.prefix { $0 != "," })
                guard !value.contains(where: { "()\"".contains($0) }) else { throw problem }
                rest = rest.dropFirst(value.count)
            }
            values.append(value)
            guard let next = rest.popFirst() else { return values }
            guard next == "," else { throw problem }
        }
    }
}

// MARK: - SQL

/// A condition in SQL with the values that its question marks stand for, in order.
package struct BoundCondition: Sendable, Hashable {
    package var sql: String
    package var values: [SQLValue]

    package init(sql: String, values: [SQLValue] = []) {
        self.sql = sql
        self.values = values
    }

    package static func all(_ conditions: [BoundCondition]) -> BoundCondition { joined(conditions, "AND", empty: "1") }
    package static func any(_ conditions: [BoundCondition]) -> BoundCondition { joined(conditions, "OR", empty: "0") }

    private static func joined(_ conditions: [BoundCondition], _ word: String, empty: String) -> BoundCondition {
        conditions.isEmpty
            ? BoundCondition(sql: empty)
            : BoundCondition(
                sql: conditions.map { "(\($0.sql))" }.joined(separator: " \(word) "),
                values: conditions.flatMap(\.values))
    }
}

extension RowFilter {
    /// The filter over the rows of `table`, which the statement calls `row`.
    /// - Throws: ``RequestProblem`` if a column is not the table's.
    package func bound(to table: TableDescription, row: String) throws(RequestProblem) -> BoundCondition {
        var bound: [BoundCondition] = []
        for condition in conditions {
            guard let column = table.column(condition.column) else {
                throw RequestProblem("the table has no column \(condition.column)")
            }
            bound.append(condition.bound(to: column, row: row))
        }
        return .all(bound)
    }
}

extension RowFilter.Condition {
    fileprivate func bound(to column: TableDescription.Column, row: String) -> BoundCondition {
        let name = "\(row).\(SQLText.identifier(column.name))"
        let values = values.map { SQLValue(comparing: $0, with: column.affinity) }
        let sql =
            switch comparison {
            case .equal: "\(name) = ?"
            case .notEqual: "\(name) <> ?"
            case .less: "\(name) < ?"
            case .lessOrEqual: "\(name) <= ?"
            case .greater: "\(name) > ?"
            case .greaterOrEqual: "\(name) >= ?"
            case .isIn: "\(name) IN (\(values.map { _ in "?" }.joined(separator: ", ")))"
            case .isNull: "\(name) IS NULL"
            }
        return BoundCondition(sql: isNegated ? "NOT (\(sql))" : sql, values: values)
    }
}

extension SQLValue {
    /// A value that came as text, as the kind that a column of this affinity holds it as. SQLite has no booleans: `true` is 1
    /// and `false` 0, except in a column of text.
    package init(comparing text: String, with affinity: Affinity) {
        if affinity == .text {
            self = .text(text)
        } else if let integer = Int64(text) {
            self = .integer(integer)
        } else if let first = text.utf8.first, !(65...122).contains(first), let real = Double(text), real.isFinite {
            self = .real(real)
        } else {
            self =
                switch text {
                case "true" where affinity == .numeric: .integer(1)
                case "false" where affinity == .numeric: .integer(0)
                default: .text(text)
                }
        }
    }
}
