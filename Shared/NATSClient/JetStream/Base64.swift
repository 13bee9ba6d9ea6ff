/// Base64 as RFC 4648 has it, with padding: how JetStream wraps bytes in JSON.
enum Base64 {
    /// - Returns: nil for anything that is not base64.
    static func decode(_ text: String) -> [UInt8]? {
        let bytes = Array(text.utf8)
        guard bytes.count.isMultiple(of: 4) else { return nil }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count / 4 * 3)
        for start in stride(from: 0, to: bytes.count, by: 4) {
            let isLast = start + 4 == bytes.count
            let padding =
                !isLast || bytes[start + 3] != UInt8(ascii: "=") ? 0 : bytes[start + 2] == UInt8(ascii: "=") ? 2 : 1
            var group: UInt32 = 0
            for index in 0..<4 {
                guard let value = index >= 4 - padding ? 0 : digit(bytes[start + index]) else { return nil }
                group = group << 6 | UInt32(value)
            }
            for index in 0..<(3 - padding) { decoded.append(UInt8(truncatingIfNeeded: group >> (16 - 8 * index))) }
        }
        return decoded
    }

    /// With the alphabet for URLs and without padding, as NATS wants signatures.
    static func encodedForURL(_ bytes: some Collection<UInt8>) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var encoded: [UInt8] = []
        var pending: UInt32 = 0
        var pendingBits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            pendingBits += 8
            while pendingBits >= 6 {
                pendingBits -= 6
                encoded.append(digits[Int(pending >> pendingBits & 63)])
            }
            pending &= 0xFF
        }
        if pendingBits > 0 { encoded.append(digits[Int(pending << (6 - pendingBits) & 63)]) }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
