package import JSON

/// A value as SQLite stores it, to be bound to a statement.
package enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

extension SQLValue {
    /// Reads a column's value as row changes and snapshots show it: the inverse of ``RowExpression``.
    /// - Returns: nil for what no column's value looks like.
    package init?(json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool, .array: return nil
        case .integer(let value): self = .integer(value)
        case .double(let value): self = .real(value)
        case .string(let value): self = .text(value)
        case .object(let members):
            guard members.count == 1, let text = members["hex"]?.stringValue,
                let bytes = SQLValue.bytes(hexadecimal: text)
            else { return nil }
            self = .blob(bytes)
        }
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Character(UnicodeScalar(digits[index])).hexDigitValue,
                let low = Character(UnicodeScalar(digits[index + 1])).hexDigitValue
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
