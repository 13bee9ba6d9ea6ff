/// Checks that bytes are one JSON text (RFC 8259) without building any value.
///
/// This is what a payload that is only passed on goes through: every byte is looked at once, nothing is allocated.
public enum JSONScanner {
    /// Checks `bytes`.
    /// - Throws: ``JSONError`` with the place of the first byte that does not fit, or where nesting exceeds `maximumDepth`.
    public static func validate(
        _ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth
    ) throws(JSONError) {
        let failure: JSONError? = bytes.withUnsafeBufferPointer { buffer in
            var scan = Scan(bytes: buffer, remainingDepth: maximumDepth)
            do throws(JSONError) {
                try scan.document()
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Whether `bytes` are one JSON text nested no deeper than `maximumDepth`.
    public static func isValid(_ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth) -> Bool {
        (try? validate(bytes, maximumDepth: maximumDepth)) != nil
    }
}

private struct Scan {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0
    var remainingDepth: Int

    init(bytes: UnsafeBufferPointer<UInt8>, remainingDepth: Int) {
        self.bytes = bytes
        self.remainingDepth = remainingDepth
    }

    /// The byte at the position, or 0 (which no rule below accepts) at the end.
    private var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private func failure(_ message: String) -> JSONError {
        JSONError(message: position < bytes.count ? message : "unexpected end", offset: position)
    }

    mutating func document() throws(JSONError) {
        skipSpace()
        try value()
        skipSpace()
        if position < bytes.count { throw failure("text after the value") }
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func value() throws(JSONError) {
        switch current {
        case UInt8(ascii: "{"): try object()
        case UInt8(ascii: "["): try array()
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        default: throw failure("a value is expected")
        }
    }

    private mutating func word(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[index] else { throw failure("a value is expected") }
            position += 1
        }
    }

    private mutating func descend() throws(JSONError) {
        guard remainingDepth > 0 else { throw failure("nested too deeply") }
        remainingDepth -= 1
        position += 1
        skipSpace()
    }

    private mutating func object() throws(JSONError) {
        try descend()
        defer { remainingDepth += 1 }
        if current == UInt8(ascii: "}") {
            position += 1
            return
        }
        while true {
            guard current == UInt8(ascii: "\"") else { throw failure("a member's name is expected") }
            try string()
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw failure("a colon is expected") }
            position += 1
            skipSpace()
            try value()
            skipSpace()
            switch current {
            case UInt8(ascii: ","):
                position += 1
                skipSpace()
            case UInt8(ascii: "}"):
                position += 1
                return
            default: throw failure("a comma or a closing brace is expected")
            }
        }
    }

    private mutating func array() throws(JSONError) {
        try descend()
        defer { remainingDepth += 1 }
        if current == UInt8(ascii: "]") {
            position += 1
            return
        }
        while true {
            try value()
            skipSpace()
            switch current {
            case UInt8(ascii: ","):
                position += 1
                skipSpace()
            case UInt8(ascii: "]"):
                position += 1
                return
            default: throw failure("a comma or a closing bracket is expected")
            }
        }
    }

    private mutating func digits() throws(JSONError) {
        guard isDigit(current) else { throw failure("a digit is expected") }
        while isDigit(current) { position += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private mutating func number() throws(JSONError) {
        if current == UInt8(ascii: "-") { position += 1 }
        if current == UInt8(ascii: "0") { position += 1 } else { try digits() }
        if current == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
    }

    private mutating func string() throws(JSONError) {
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw failure("a control character in a string")
            case 0..<0x80: position += 1
            default: try multibyteCharacter()
            }
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
            let digit: UInt8
            switch current {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = current - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = current - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = current - UInt8(ascii: "A") + 10
            default: throw failure("a hexadecimal digit is expected")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
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
