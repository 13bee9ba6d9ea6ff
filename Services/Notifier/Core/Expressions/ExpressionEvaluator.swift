internal import JSON

extension Node {
    func evaluate(_ fields: JSONObject) throws(EvaluationError) -> ExpressionValue {
        switch kind {
        case .literal(let value): return value
        case .field(let path):
            guard let value = path.value(in: fields) else { throw failure("the field \(path) is missing") }
            return ExpressionValue(value)
        case .has(let path): return .bool(path.value(in: fields) != nil)
        case .not(let operand): return .bool(!(try operand.condition(fields)))
        case .negate(let operand): return try negated(operand, fields)
        case .and(let left, let right):
            guard try left.condition(fields) else { return .bool(false) }
            return .bool(try right.condition(fields))
        case .or(let left, let right):
            if try left.condition(fields) { return .bool(true) }
            return .bool(try right.condition(fields))
        case .compare(let comparison, let left, let right):
            return .bool(try compare(comparison, try left.evaluate(fields), try right.evaluate(fields)))
        case .calculate(let calculation, let left, let right):
            return try calculate(
                calculation, try left.number(fields, for: calculation), try right.number(fields, for: calculation))
        }
    }

    private func failure(_ message: String) -> EvaluationError { EvaluationError(column: column, message: message) }

    /// What an error calls this part.
    private var name: String {
        if case .field(let path) = kind { "the field \(path)" } else { "the value" }
    }

    private func condition(_ fields: JSONObject) throws(EvaluationError) -> Bool {
        let value = try evaluate(fields)
        guard case .bool(let holds) = value else { throw failure("\(name) is \(value.kind), not true or false") }
        return holds
    }

    private func number(
        _ fields: JSONObject, for calculation: Calculation
    ) throws(EvaluationError) -> ExpressionValue {
        let value = try evaluate(fields)
        guard value.number != nil else {
            throw failure("\(name) is \(value.kind), but \(calculation.rawValue) takes numbers")
        }
        return value
    }

    private func negated(_ operand: Node, _ fields: JSONObject) throws(EvaluationError) -> ExpressionValue {
        let value = try operand.number(fields, for: .subtract)
        if case .integer(let integer) = value, integer != .min { return .integer(-integer) }
        return .double(-(value.number ?? 0))
    }

    private func compare(
        _ comparison: Comparison, _ left: ExpressionValue, _ right: ExpressionValue
    ) throws(EvaluationError) -> Bool {
        switch comparison {
        case .equal: return try equal(left, right)
        case .notEqual: return !(try equal(left, right))
        case .less, .lessOrEqual, .greater, .greaterOrEqual: break
        }
        switch (left, right) {
        case (.integer(let left), .integer(let right)): return comparison.holds(left, right)
        case (.string(let left), .string(let right)): return comparison.holds(left, right)
        default:
            guard let left = left.number, let right = right.number else {
                throw failure("\(left.kind) and \(right.kind) cannot be compared by \(comparison.rawValue)")
            }
            return comparison.holds(left, right)
        }
    }

    /// Values of different kinds are not equal.
    private func equal(_ left: ExpressionValue, _ right: ExpressionValue) throws(EvaluationError) -> Bool {
        switch (left, right) {
        case (.structure(let kind), _), (_, .structure(let kind)): throw failure("\(kind) cannot be compared")
        case (.integer(let left), .double(let right)): return Double(left) == right
        case (.double(let left), .integer(let right)): return left == Double(right)
        default: return left == right
        }
    }

    private func calculate(
        _ calculation: Calculation, _ left: ExpressionValue, _ right: ExpressionValue
    ) throws(EvaluationError) -> ExpressionValue {
        if case .integer(let left) = left, case .integer(let right) = right,
            let exact = calculation.exactly(left, right)
        {
            return .integer(exact)
        }
        guard let left = left.number, let right = right.number else { throw failure("numbers are expected") }
        let result: Double
        switch calculation {
        case .add: result = left + right
        case .subtract: result = left - right
        case .multiply: result = left * right
        case .divide:
            guard right != 0 else { throw failure("division by zero") }
            result = left / right
        }
        guard result.isFinite else { throw failure("the result is too large for a number") }
        return .double(result)
    }
}

extension Node.Comparison {
    fileprivate func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        }
    }
}

extension Node.Calculation {
    /// The result if it is an integer of 64 bits; nil if doubles must do.
    fileprivate func exactly(_ left: Int64, _ right: Int64) -> Int64? {
        let (result, overflow): (Int64, Bool)
        switch self {
        case .add: (result, overflow) = left.addingReportingOverflow(right)
        case .subtract: (result, overflow) = left.subtractingReportingOverflow(right)
        case .multiply: (result, overflow) = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0, left.remainderReportingOverflow(dividingBy: right) == (0, false) else { return nil }
            (result, overflow) = left.dividedReportingOverflow(by: right)
        }
        return overflow ? nil : result
    }
}
