internal import Crypto

/// What shows that a server has understood a WebSocket's handshake (RFC 6455, section 4.2.2).
enum AcceptKey {
    /// Stands behind every key.
    private static let identifier: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Whether a client's key is 16 bytes in base64: 22 characters and two that fill up.
    static func isKey(_ key: String) -> Bool {
        var key = key
        return key.withUTF8 { text in
            text.count == 24 && text[22] == UInt8(ascii: "=") && text[23] == UInt8(ascii: "=")
                && text[..<22].allSatisfy { character in
                    switch character {
                    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                        true
                    default: false
                    }
                }
        }
    }

    /// The value of `Sec-WebSocket-Accept` for a client's key.
    static func answer(to key: String) -> String {
        var hash = Insecure.SHA1()
        var key = key
        key.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        hash.update(
            bufferPointer: UnsafeRawBufferPointer(
                start: identifier.utf8Start, count: identifier.utf8CodeUnitCount))
        return hash.finalize().withUnsafeBytes(base64)
    }

    /// 20 bytes as 28 characters, the last of which fills up.
    private static func base64(_ digest: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: 28) { text in
            for (group, place) in stride(from: 0, to: 28, by: 4).enumerated() {
                let first = group * 3
                let third = first + 2 < digest.count ? digest[first + 2] : 0
                let bits = UInt32(digest[first]) << 16 | UInt32(digest[first + 1]) << 8 | UInt32(third)
                for index in 0..<4 {
                    text[place + index] = alphabet.utf8Start[Int(bits >> UInt32(18 - 6 * index) & 63)]
                }
            }
            text[27] = UInt8(ascii: "=")
            return 28
        }
    }
}
