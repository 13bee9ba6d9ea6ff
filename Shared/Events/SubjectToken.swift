/// How any text becomes tokens of a NATS subject and comes back.
///
/// Letters, digits, `_`, `-` and `.` stand for themselves; every other byte is `%XX` (upper-case). The mapping is
/// injective, and since `*`, `>`, space and control bytes never stand for themselves, no text reaches a wildcard.
public enum SubjectToken {
    public static func encode(_ text: String) -> String {
        // Nearly all names are such that nothing changes.
        if text.utf8.allSatisfy(isPlain) { return text }
        var encoded: [UInt8] = []
        encoded.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if isPlain(byte) {
                encoded.append(byte)
            } else {
                encoded.append(UInt8(ascii: "%"))
                encoded.append(hexadecimal[Int(byte >> 4)])
                encoded.append(hexadecimal[Int(byte & 15)])
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// The text that ``encode(_:)`` turns into `token`; nil for anything that it never produces.
    public static func decode(_ token: some StringProtocol) -> String? {
        if token.utf8.allSatisfy(isPlain) { return String(token) }
        var decoded: [UInt8] = []
        var bytes = token.utf8.makeIterator()
        while let byte = bytes.next() {
            if isPlain(byte) {
                decoded.append(byte)
            } else {
                guard byte == UInt8(ascii: "%"), let high = bytes.next().flatMap(digit),
                    let low = bytes.next().flatMap(digit), !isPlain(high << 4 | low)
                else { return nil }
                decoded.append(high << 4 | low)
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static let hexadecimal = Array("0123456789ABCDEF".utf8)

    private static func digit(_ byte: UInt8) -> UInt8? {
        hexadecimal.firstIndex(of: byte).map(UInt8.init)
    }

    /// Whether the byte stands for itself.
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
