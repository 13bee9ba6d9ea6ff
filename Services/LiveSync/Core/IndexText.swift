/// The terms and the condition of a `CREATE INDEX` statement: what SQLite's pragmas do not tell of an index on expressions
/// or on some of the rows.
package struct IndexText: Sendable, Hashable {
    /// What is indexed, in order, without collation and direction.
    package let terms: [String]
    /// What stands after `WHERE`.
    package let predicate: String?

    /// - Returns: nil if the text has no list of terms.
    package init?(sql: String) {
        let tokens = IndexText.tokens(sql)
        guard let open = tokens.firstIndex(of: "(") else { return nil }
        var depth = 0
        var term: [Substring] = []
        var terms: [String] = []
        var close: Int?
        for position in open..<tokens.count {
            let token = tokens[position]
            if token == "(" { depth += 1 }
            if token == ")" { depth -= 1 }
            if depth == 0 {
                close = position
                break
            }
            if depth == 1, token == "," {
                terms.append(IndexText.expression(term, in: sql))
                term = []
            } else if position > open {
                term.append(token)
            }
        }
        guard let close else { return nil }
        terms.append(IndexText.expression(term, in: sql))
        self.terms = terms
        let rest = tokens[(close + 1)...]
        predicate =
            rest.first?.uppercased() == "WHERE" ? IndexText.text(of: rest.dropFirst(), in: sql) : nil
    }

    private static func expression(_ tokens: [Substring], in sql: String) -> String {
        var tokens = tokens[...]
        if let last = tokens.last?.uppercased(), last == "ASC" || last == "DESC" { tokens = tokens.dropLast() }
        if tokens.count > 2, tokens[tokens.endIndex - 2].uppercased() == "COLLATE" { tokens = tokens.dropLast(2) }
        return text(of: tokens, in: sql)
    }

    /// What was written from the first of the tokens to the last.
    private static func text(of tokens: ArraySlice<Substring>, in sql: String) -> String {
        guard let first = tokens.first, let last = tokens.last else { return "" }
        return String(sql[first.startIndex..<last.endIndex])
    }

    /// The words, quoted things and signs of the text, without comments.
    private static func tokens(_ sql: String) -> [Substring] {
        var tokens: [Substring] = []
        var rest = Substring(sql)
        while let first = rest.first {
            let length: Int
            if first.isWhitespace {
                rest.removeFirst()
                continue
            } else if rest.hasPrefix("--") {
                rest = rest.drop { $0 != "\n" }
                continue
            } else if rest.hasPrefix("/*") {
                rest = rest.firstRange(of: "*/").map { rest[$0.upperBound...] } ?? ""
                continue
            } else if let closing = ["'": "'", "\"": "\"", "`": "`", "[": "]"][first] as Character? {
                length = quotedLength(rest, closing: closing)
            } else if first.isLetter || first.isNumber || first == "_" || first == "$" || first == "." {
                length = rest.prefix { $0.isLetter || $0.isNumber || "_$.".contains($0) }.count
            } else {
                length = 1
            }
            tokens.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return tokens
    }

    private static func quotedLength(_ text: Substring, closing: Character) -> Int {
        var length = 1
        var rest = text.dropFirst()
        while let character = rest.popFirst() {
            length += 1
            guard character == closing else { continue }
            if closing != "]", rest.first == closing {
                rest.removeFirst()
                length += 1
            } else {
                return length
            }
        }
        return length
    }
}
