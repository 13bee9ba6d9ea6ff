package import JSON

/// A condition over the fields of an event, as rules hold them: `quantity < threshold * 1.2 && status != "closed"`.
///
/// - Values: numbers, strings in single or double quotes, `true`, `false`, `null`, and fields by name, with dots for
///   members of members.
/// - Operators, loosest first: `||`, `&&`, one of `== != < <= > >=`, `+ -`, `* /`, then `!` and `-` before a value.
/// - `has(field)` is whether the event has the field; every other use of a field that is missing is an error.
///
/// Nothing else exists: no calls, no assignment, no loops. Reading and evaluating end after a time that is linear in
/// the text's length, and no text or event makes either trap.
package struct Expression: Sendable, Equatable, CustomStringConvertible {
    /// The text it was read from.
    package let source: String
    let root: Node

    /// The longest text that is read, in bytes. It bounds how deep the tree of a long chain of operators can get.
    package static let maximumLength = 1024
    /// How deep parentheses and prefix operators may be nested.
    package static let maximumDepth = 64

    package init(_ source: String) throws(ExpressionSyntaxError) {
        self.source = source
        root = try ExpressionParser.parse(source)
    }

    package var description: String { source }

    /// Whether the condition holds for an event with these fields.
    /// - Throws: ``EvaluationError`` when it cannot be told: a field is missing, values do not fit the operators, a
    ///   number is divided by zero or leaves the range of numbers, or the result is not true or false.
    package func holds(for fields: JSONObject) throws(EvaluationError) -> Bool {
        let result = try root.evaluate(fields)
        guard case .bool(let holds) = result else {
            throw EvaluationError(column: root.column, message: "the result is \(result.kind), not true or false")
        }
        return holds
    }

    /// The value of the expression; nil as an object or array, which no operator takes.
    package func value(for fields: JSONObject) throws(EvaluationError) -> JSONValue? {
        try root.evaluate(fields).json
    }
}

/// Why a text is not an expression.
package struct ExpressionSyntaxError: Error, Equatable, CustomStringConvertible {
    /// Where, in characters from 1.
    package let column: Int
    package let message: String

    package var description: String { "\(message) (column \(column))" }
}

/// Why an expression has no value for an event. Names fields and kinds of values, never the values.
package struct EvaluationError: Error, Equatable, CustomStringConvertible {
    /// Where in the expression, in characters from 1.
    package let column: Int
    package let message: String

    package var description: String { "\(message) (column \(column))" }
}

/// A part of an expression, with the column at which its operator or value stands.
struct Node: Sendable, Equatable {
    indirect enum Kind: Sendable, Equatable {
        case literal(ExpressionValue)
        case field(FieldPath)
        case has(FieldPath)
        case not(Node)
        case negate(Node)
        case and(Node, Node)
        case or(Node, Node)
        case compare(Comparison, Node, Node)
        case calculate(Calculation, Node, Node)
    }

    enum Comparison: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    enum Calculation: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
    }

    let kind: Kind
    let column: Int
}
