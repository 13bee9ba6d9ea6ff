/// Reads an expression by descending over its operators, loosest first.
struct ExpressionParser {
    private let tokens: [ExpressionLexer.Positioned]
    private var index = 0
    private var remainingDepth = Expression.maximumDepth

    static func parse(_ text: String) throws(ExpressionSyntaxError) -> Node {
        guard text.utf8.count <= Expression.maximumLength else {
            throw ExpressionSyntaxError(
                column: 1, message: "an expression has at most \(Expression.maximumLength) bytes")
        }
        var parser = ExpressionParser(tokens: try ExpressionLexer.tokens(of: text))
        let root = try parser.disjunction()
        guard parser.current.token == .end else { throw parser.unexpected("an operator") }
        return root
    }

    private init(tokens: [ExpressionLexer.Positioned]) { self.tokens = tokens }

    // The list ends in `.end`, beyond which the index never goes.
    private var current: ExpressionLexer.Positioned { tokens[index] }

    private mutating func advance() { if index + 1 < tokens.count { index += 1 } }

    /// The symbol at the position if it is one of `symbols`, with its column; then the position moves on.
    private mutating func take(_ symbols: Set<String>) -> (symbol: String, column: Int)? {
        guard case .symbol(let symbol) = current.token, symbols.contains(symbol) else { return nil }
        defer { advance() }
        return (symbol, current.column)
    }

    private func unexpected(_ expected: String) -> ExpressionSyntaxError {
        ExpressionSyntaxError(
            column: current.column,
            message: current.token == .end ? "\(expected) is missing at the end" : "\(expected) is expected here")
    }

    private mutating func disjunction() throws(ExpressionSyntaxError) -> Node {
        var left = try conjunction()
        while let (_, column) = take(["||"]) {
            left = Node(kind: .or(left, try conjunction()), column: column)
        }
        return left
    }

    private mutating func conjunction() throws(ExpressionSyntaxError) -> Node {
        var left = try comparison()
        while let (_, column) = take(["&&"]) {
            left = Node(kind: .and(left, try comparison()), column: column)
        }
        return left
    }

    private mutating func comparison() throws(ExpressionSyntaxError) -> Node {
        let symbols: Set = ["==", "!=", "<", "<=", ">", ">="]
        let left = try sum()
        guard let (symbol, column) = take(symbols), let comparison = Node.Comparison(rawValue: symbol) else {
            return left
        }
        let right = try sum()
        if let (_, column) = take(symbols) {
            throw ExpressionSyntaxError(column: column, message: "comparisons cannot be chained, join them with &&")
        }
        return Node(kind: .compare(comparison, left, right), column: column)
    }

    private mutating func sum() throws(ExpressionSyntaxError) -> Node {
        var left = try product()
        while let (symbol, column) = take(["+", "-"]), let calculation = Node.Calculation(rawValue: symbol) {
            left = Node(kind: .calculate(calculation, left, try product()), column: column)
        }
        return left
    }

    private mutating func product() throws(ExpressionSyntaxError) -> Node {
        var left = try prefixed()
        while let (symbol, column) = take(["*", "/"]), let calculation = Node.Calculation(rawValue: symbol) {
            left = Node(kind: .calculate(calculation, left, try prefixed()), column: column)
        }
        return left
    }

    /// Everything that can nest comes through here, so that here the depth is bounded.
    private mutating func prefixed() throws(ExpressionSyntaxError) -> Node {
        guard remainingDepth > 0 else {
            throw ExpressionSyntaxError(column: current.column, message: "nested too deeply")
        }
        remainingDepth -= 1
        defer { remainingDepth += 1 }
        if let (_, column) = take(["!"]) { return Node(kind: .not(try prefixed()), column: column) }
        if let (_, column) = take(["-"]) { return Node(kind: .negate(try prefixed()), column: column) }
        if take(["("]) != nil {
            let inner = try disjunction()
            guard take([")"]) != nil else { throw unexpected("a closing parenthesis") }
            return inner
        }
        return try operand()
    }

    private mutating func operand() throws(ExpressionSyntaxError) -> Node {
        let column = current.column
        let kind: Node.Kind
        switch current.token {
        case .number(let value): kind = .literal(value)
        case .string(let text): kind = .literal(.string(text))
        case .name(["true"]): kind = .literal(.bool(true))
        case .name(["false"]): kind = .literal(.bool(false))
        case .name(["null"]): kind = .literal(.null)
        case .name(["has"]): return try presence(column: column)
        case .name(let components): kind = .field(FieldPath(components: components))
        case .symbol, .end: throw unexpected("a value")
        }
        advance()
        return Node(kind: kind, column: column)
    }

    /// `has(field)`; `has` alone is a field like any other.
    private mutating func presence(column: Int) throws(ExpressionSyntaxError) -> Node {
        advance()
        guard take(["("]) != nil else { return Node(kind: .field(FieldPath(components: ["has"])), column: column) }
        guard case .name(let components) = current.token else { throw unexpected("a field's name") }
        advance()
        guard take([")"]) != nil else { throw unexpected("a closing parenthesis") }
        return Node(kind: .has(FieldPath(components: components)), column: column)
    }
}
