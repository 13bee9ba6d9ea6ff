/// What may stand in a header's value.
enum HeaderText {
    /// `text` as one line of at most `limit` bytes: control characters become spaces, the rest is cut.
    static func sanitized(_ text: String, limit: Int = 512) -> String {
        var line = ""
        for scalar in text.unicodeScalars {
            let isControl =
                scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                || scalar.value == 0x2028 || scalar.value == 0x2029
            let next: Unicode.Scalar = isControl ? " " : scalar
            guard line.utf8.count + UTF8.width(next) <= limit else { break }
            line.unicodeScalars.append(next)
        }
        return line
    }

    /// Whether `text` may be a header's value as it is: nothing that would end the line.
    static func isValue(_ text: String) -> Bool {
        !text.utf8.contains { $0 == 0x0D || $0 == 0x0A || $0 == 0 }
    }

    /// Whether `text` may be a header's name.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
    }
}

// MARK: - JSON in headers

extension HeaderText {
    /// A JSON array of `texts`, which are JSON without line breaks, in ASCII: anything else is escaped.
    static func jsonArray(_ texts: [[UInt8]]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(texts.reduce(2) { $0 + $1.count + 1 })
        bytes.append(UInt8(ascii: "["))
        for (index, text) in texts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            if text.allSatisfy({ $0 < 0x80 }) { bytes += text } else { append(escaping: text, to: &bytes) }
        }
        bytes.append(UInt8(ascii: "]"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Outside of ASCII there are only letters of strings, each of which may be written as one or two units of UTF-16.
    private static func append(escaping text: [UInt8], to bytes: inout [UInt8]) {
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            guard !scalar.isASCII else {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
                continue
            }
            for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
                let digits = String(unit, radix: 16)
                bytes += "\\u".utf8
                bytes += repeatElement(UInt8(ascii: "0"), count: 4 - digits.utf8.count)
                bytes += digits.utf8
            }
        }
    }
}
