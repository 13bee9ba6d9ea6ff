/// How any text becomes one token of a key-value key.
enum DocumentKey {
    /// Letters, digits, `_` and `-` stand for themselves, every other byte is `=XX`: injective, and never empty dots.
    static func token(_ text: String) -> String {
        let hexadecimal = Array("0123456789ABCDEF".utf8)
        var token: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                token.append(byte)
            default: token += [UInt8(ascii: "="), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            }
        }
        return String(decoding: token, as: UTF8.self)
    }
}
