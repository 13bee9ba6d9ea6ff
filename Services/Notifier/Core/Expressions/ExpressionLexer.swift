/// Cuts the text of an expression into tokens.
struct ExpressionLexer {
    enum Token: Equatable {
        case number(ExpressionValue)
        case string(String)
        /// A name, with its dots.
        case name([String])
        /// An operator or parenthesis.
        case symbol(String)
        case end
    }

    struct Positioned: Equatable {
        let token: Token
        /// In characters from 1.
        let column: Int
    }

    private let characters: [Character]
    private var index = 0

    private init(_ text: String) { characters = Array(text) }

    static func tokens(of text: String) throws(ExpressionSyntaxError) -> [Positioned] {
        var lexer = ExpressionLexer(text)
        var tokens: [Positioned] = []
        repeat { tokens.append(try lexer.next()) } while tokens.last?.token != .end
        return tokens
    }

    private var current: Character? { index < characters.count ? characters[index] : nil }
    private var following: Character? { index + 1 < characters.count ? characters[index + 1] : nil }

    private mutating func next() throws(ExpressionSyntaxError) -> Positioned {
        while let character = current, character.isWhitespace { index += 1 }
        let column = index + 1
        guard let first = current else { return Positioned(token: .end, column: column) }
        let token: Token =
            switch first {
            case "'", "\"": .string(try string(quote: first))
            case _ where isDigit(first): .number(try number())
            case _ where isNameStart(first): .name(try name())
            default: .symbol(try symbol())
            }
        return Positioned(token: token, column: column)
    }

    private func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }

    private func isNameStart(_ character: Character) -> Bool { character.isLetter || character == "_" }

    private mutating func symbol() throws(ExpressionSyntaxError) -> String {
        let two = String(characters[index...].prefix(2))
        if ["||", "&&", "==", "!=", "<=", ">="].contains(two) {
            index += 2
            return two
        }
        let one = String(characters[index])
        guard ["<", ">", "+", "-", "*", "/", "!", "(", ")"].contains(one) else {
            let hint =
                switch one {
                case "=": "write == to compare"
                case "&": "write && for and"
                case "|": "write || for or"
                default: "this character has no meaning here"
                }
            throw ExpressionSyntaxError(column: index + 1, message: hint)
        }
        index += 1
        return one
    }

    private mutating func name() throws(ExpressionSyntaxError) -> [String] {
        var components: [String] = []
        while true {
            guard let first = current, isNameStart(first) else {
                throw ExpressionSyntaxError(column: index + 1, message: "a field's name is expected after the dot")
            }
            var component = ""
            while let character = current, isNameStart(character) || isDigit(character) {
                component.append(character)
                index += 1
            }
            components.append(component)
            guard current == "." else { return components }
            index += 1
        }
    }

    private mutating func number() throws(ExpressionSyntaxError) -> ExpressionValue {
        let start = index
        func failure() -> ExpressionSyntaxError {
            ExpressionSyntaxError(column: start + 1, message: "not a number, or too large for one")
        }
        var isWhole = true
        while let character = current, isDigit(character) { index += 1 }
        if current == ".", let digit = following, isDigit(digit) {
            isWhole = false
            index += 1
            while let character = current, isDigit(character) { index += 1 }
        }
        if current == "e" || current == "E" {
            isWhole = false
            index += 1
            if current == "+" || current == "-" { index += 1 }
            guard let digit = current, isDigit(digit) else { throw failure() }
            while let character = current, isDigit(character) { index += 1 }
        }
        // `3rd` and `1.x` are mistakes, not a number followed by a name.
        if let character = current, isNameStart(character) || character == "." { throw failure() }
        let text = String(characters[start..<index])
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure() }
        return .double(value)
    }

    private mutating func string(quote: Character) throws(ExpressionSyntaxError) -> String {
        let start = index
        var text = ""
        index += 1
        while let character = current {
            index += 1
            switch character {
            case quote: return text
            case "\\":
                guard let escaped = current else { break }
                guard ["\\", "'", "\""].contains(escaped) else {
                    throw ExpressionSyntaxError(
                        column: index, message: "only a quotation mark or a backslash may follow a backslash")
                }
                text.append(escaped)
                index += 1
            default: text.append(character)
            }
        }
        throw ExpressionSyntaxError(column: start + 1, message: "this string has no closing quotation mark")
    }
}
