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
