/// Reads numbers as they stand in data files, straight from bytes.
///
/// A number is an optional sign, decimal digits with at most one point among or beside them, and an optional exponent
/// (`e` or `E`, optional sign, digits). Spaces and tabs around it do not count. Words such as `inf` and `nan`,
/// hexadecimal, separators of thousands, and what exceeds a double are no numbers.
package enum DecimalNumber {
    package static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Double? {
        var start = 0
        var end = bytes.count
        while start < end, isSpace(bytes[start]) { start += 1 }
        while end > start, isSpace(bytes[end - 1]) { end -= 1 }
        guard start < end else { return nil }
        let first = start
        var position = start
        let isNegative = bytes[position] == UInt8(ascii: "-")
        if isNegative || bytes[position] == UInt8(ascii: "+") { position += 1 }

        var significand: UInt64 = 0
        var digits = 0
        var exponent = 0
        // Significant digits beyond the nineteenth do not fit; such numbers take the slow way.
        var isExact = true
        func take(_ digit: UInt8) {
            digits += 1
            if significand < 1_000_000_000_000_000_000 {
                significand = significand * 10 + UInt64(digit)
            } else {
                isExact = false
            }
        }
        while position < end, let digit = digit(bytes[position]) {
            take(digit)
            position += 1
        }
        if position < end, bytes[position] == UInt8(ascii: ".") {
            position += 1
            while position < end, let digit = digit(bytes[position]) {
                take(digit)
                exponent -= 1
                position += 1
            }
        }
        guard digits > 0 else { return nil }
        if position < end {
            guard bytes[position] | 0x20 == UInt8(ascii: "e") else { return nil }
            position += 1
            var isSmall = false
            if position < end, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") {
                isSmall = bytes[position] == UInt8(ascii: "-")
                position += 1
            }
            guard position < end else { return nil }
            var written = 0
            while position < end {
                guard let digit = digit(bytes[position]) else { return nil }
                written = min(written * 10 + Int(digit), 100_000)
                position += 1
            }
            exponent += isSmall ? -written : written
        }
        // Both factors are exact doubles, so their product or quotient is the nearest one to the number (Clinger).
        if isExact, significand <= 1 << 53, (-22...22).contains(exponent) {
            let scaled =
                exponent < 0 ? Double(significand) / powers[-exponent] : Double(significand) * powers[exponent]
            return isNegative ? -scaled : scaled
        }
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[first..<end]), as: UTF8.self)
        guard let number = Double(text), number.isFinite else { return nil }
        return number
    }

    /// Whether there is nothing but spaces and tabs.
    static func isBlank(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in bytes where !isSpace(byte) { return false }
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func digit(_ byte: UInt8) -> UInt8? {
        let digit = byte &- UInt8(ascii: "0")
        return digit <= 9 ? digit : nil
    }

    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]
}
