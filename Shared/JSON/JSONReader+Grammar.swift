/// RFC 8259: what a reader goes over, it checks.
extension JSONReader {
    /// The byte at the position, or 0 (which no rule below accepts) at the end.
    @inline(__always) var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

    @inline(never) func failure(_ message: StaticString) -> JSONError {
        JSONError(message: position < bytes.count ? "\(message)" : "unexpected end", offset: position)
    }

    func slice(from start: Int, to end: Int, isEscaped: Bool = false) -> Slice {
        Slice(bytes: UnsafeBufferPointer(rebasing: bytes[start..<end]), isEscaped: isEscaped)
    }

    @inline(__always) mutating func skipSpace() {
        // Most programs write none.
        if current <= 0x20 { skipRun() }
    }

    @inline(never) private mutating func skipRun() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09: position += 1
            case 0x0D:
                hasLineBreaks = true
                position += 1
            case 0x0A where rules != .lines:
                hasLineBreaks = true
                position += 1
            default: return
            }
        }
    }

    /// Goes over the value that begins at the position.
    mutating func skipValue() throws(JSONError) {
        switch current {
        case UInt8(ascii: "\""): _ = try skipString()
        case UInt8(ascii: "{"): try skipObject()
        case UInt8(ascii: "["): try skipArray()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        case _ where isAtNumber: _ = try takeNumber()
        default: throw failure("a value is expected")
        }
    }

    private mutating func word(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[index] else { throw failure("a value is expected") }
            position += 1
        }
    }

    // MARK: Objects and arrays

    /// Enters the object or array that begins at the position.
    mutating func descend() throws(JSONError) {
        guard remainingDepth > 0 else { throw failure("nested too deeply") }
        remainingDepth -= 1
        position += 1
    }

    /// Whether another member or element begins, at the position then, or the `bracket` that ends them, which is gone over.
    @inline(__always) mutating func hasNext(before bracket: UInt8, isFirst: Bool) throws(JSONError) -> Bool {
        skipSpace()
        switch current {
        case bracket:
            position += 1
            remainingDepth += 1
            return false
        case _ where isFirst: return true
        case UInt8(ascii: ","):
            position += 1
            skipSpace()
            return true
        default:
            let isObject = bracket == UInt8(ascii: "}")
            throw failure(
                isObject ? "a comma or a closing brace is expected" : "a comma or a closing bracket is expected")
        }
    }

    /// Goes over a name and its colon.
    /// - Returns: the name's end, and whether there are escapes in it.
    @inline(__always) mutating func skipName() throws(JSONError) -> (end: Int, isEscaped: Bool) {
        guard current == UInt8(ascii: "\"") else { throw failure("a member's name is expected") }
        let start = position + 1
        let isEscaped = try skipString()
        let end = position - 1
        if isEscaped, rules != .text, slice(from: start, to: end, isEscaped: true).unescaped().contains(0) {
            throw failure("a NUL in a member's name")
        }
        skipSpace()
        guard current == UInt8(ascii: ":") else { throw failure("a colon is expected") }
        position += 1
        skipSpace()
        return (end, isEscaped)
    }

    private mutating func skipObject() throws(JSONError) {
        try descend()
        var isFirst = true
        while try hasNext(before: UInt8(ascii: "}"), isFirst: isFirst) {
            _ = try skipName()
            try skipValue()
            isFirst = false
        }
    }

    private mutating func skipArray() throws(JSONError) {
        try descend()
        var isFirst = true
        while try hasNext(before: UInt8(ascii: "]"), isFirst: isFirst) {
            try skipValue()
            isFirst = false
        }
    }

    // MARK: Numbers

    var isAtNumber: Bool { isDigit(current) || current == UInt8(ascii: "-") }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    /// - Returns: the number, if it has neither fraction nor exponent.
    mutating func takeNumber() throws(JSONError) -> Int64? {
        let start = position
        let isNegative = current == UInt8(ascii: "-")
        if isNegative { position += 1 }
        var magnitude: UInt64 = 0
        let digits = try current == UInt8(ascii: "0") ? zero() : self.digits(&magnitude)
        guard current == UInt8(ascii: ".") || current | 0x20 == UInt8(ascii: "e") else {
            // 19 digits fit into the magnitude's 64 bits.
            if digits <= 19, magnitude <= UInt64(Int64.max) + (isNegative ? 1 : 0) {
                return Int64(truncatingIfNeeded: isNegative ? 0 &- magnitude : magnitude)
            }
            if rules != .text { throw failure("a number that cannot be represented") }
            return nil
        }
        var ignored: UInt64 = 0
        if current == UInt8(ascii: ".") {
            position += 1
            _ = try self.digits(&ignored)
        }
        var exponentDigits = 0
        if current | 0x20 == UInt8(ascii: "e") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            exponentDigits = try self.digits(&ignored)
        }
        // 200 digits and an exponent of two are far from the largest number there is.
        if rules != .text, digits > 200 || exponentDigits > 2, slice(from: start, to: position).double?.isFinite != true
        {
            throw failure("a number that cannot be represented")
        }
        return nil
    }

    private mutating func zero() -> Int {
        position += 1
        return 1
    }

    /// - Returns: how many there are; with more than 19, `number` is not theirs.
    private mutating func digits(_ number: inout UInt64) throws(JSONError) -> Int {
        let start = position
        while isDigit(current) {
            number = number &* 10 &+ UInt64(current - UInt8(ascii: "0"))
            position += 1
        }
        guard position > start else { throw failure("a digit is expected") }
        return position - start
    }

    // MARK: Strings

    /// Goes over the string that begins at the position.
    /// - Returns: whether there are escapes in it.
    mutating func skipString() throws(JSONError) -> Bool {
        position = StringBytes.firstSpecial(in: bytes, from: position + 1, passesMultibyte: false)
        guard current == UInt8(ascii: "\"") else { return try skipSpecials() }
        position += 1
        return false
    }

    private mutating func skipSpecials() throws(JSONError) -> Bool {
        var isEscaped = false
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return isEscaped
            case UInt8(ascii: "\\"):
                isEscaped = true
                try escape()
            case 0..<0x20: throw failure("a control character in a string")
            default: while current >= 0x80 { try multibyteCharacter() }
            }
            position = StringBytes.firstSpecial(in: bytes, from: position, passesMultibyte: false)
        }
        throw failure("unexpected end")
    }

    private mutating func escape() throws(JSONError) {
        position += 1
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 1
        case UInt8(ascii: "u"): try unicodeEscape()
        default: throw failure("an unknown escape")
        }
    }

    /// `\uXXXX`; a high surrogate must be followed by a low one and a low one must follow a high one.
    private mutating func unicodeEscape() throws(JSONError) {
        let unit = try hexadecimalUnit()
        switch unit {
        case 0xD800...0xDBFF:
            guard current == UInt8(ascii: "\\") else { throw failure("half of a surrogate pair") }
            position += 1
            guard current == UInt8(ascii: "u") else { throw failure("half of a surrogate pair") }
            guard case 0xDC00...0xDFFF = try hexadecimalUnit() else { throw failure("half of a surrogate pair") }
        case 0xDC00...0xDFFF: throw failure("half of a surrogate pair")
        default: return
        }
    }

    private mutating func hexadecimalUnit() throws(JSONError) -> UInt16 {
        position += 1
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = JSONReader.hexadecimalDigit(current) else {
                throw failure("a hexadecimal digit is expected")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }

    static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// One character of two to four bytes, as RFC 3629 allows it: no overlong form, no surrogate, at most U+10FFFF.
    private mutating func multibyteCharacter() throws(JSONError) {
        let first = bytes[position]
        let following: Int
        let second: ClosedRange<UInt8>
        switch first {
        case 0xC2...0xDF: (following, second) = (1, 0x80...0xBF)
        case 0xE0: (following, second) = (2, 0xA0...0xBF)
        case 0xED: (following, second) = (2, 0x80...0x9F)
        case 0xE1...0xEF: (following, second) = (2, 0x80...0xBF)
        case 0xF0: (following, second) = (3, 0x90...0xBF)
        case 0xF1...0xF3: (following, second) = (3, 0x80...0xBF)
        case 0xF4: (following, second) = (3, 0x80...0x8F)
        default: throw failure("not UTF-8")
        }
        position += 1
        guard second.contains(current) else { throw failure("not UTF-8") }
        position += 1
        for _ in 1..<following {
            guard (0x80...0xBF).contains(current) else { throw failure("not UTF-8") }
            position += 1
        }
    }
}
