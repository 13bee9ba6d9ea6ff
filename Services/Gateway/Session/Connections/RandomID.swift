/// 128 bits that nobody can guess, written as a UUID: what clients and backends call a connection by.
///
/// Kept as bits and written where it is sent: as a text it would be an allocation of 80 bytes for each connection.
package struct RandomID: Sendable, Hashable {
    private let high: UInt64
    private let low: UInt64

    /// Makes one of random bits. Six of them are the UUID's version and variant, whatever is given.
    package init(high: UInt64, low: UInt64) {
        self.high = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        self.low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    }

    package static func random(using random: inout some RandomNumberGenerator) -> RandomID {
        RandomID(high: random.next(), low: random.next())
    }

    /// Reads what ``description`` writes: in lower case, since two spellings would be two names to everybody else.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        var digits = 0
        for (place, byte) in text.utf8.enumerated() {
            if place == 8 || place == 13 || place == 18 || place == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            if digits < 16 {
                words.high = words.high << 4 | UInt64(digit)
            } else {
                words.low = words.low << 4 | UInt64(digit)
            }
            digits += 1
        }
        high = words.high
        low = words.low
    }
}

extension RandomID: CustomStringConvertible {
    package var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var place = 0
            for index in 0..<16 {
                if index == 4 || index == 6 || index == 8 || index == 10 {
                    buffer[place] = UInt8(ascii: "-")
                    place += 1
                }
                let byte = UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(56 - index % 8 * 8))
                buffer[place] = RandomID.digit(byte >> 4)
                buffer[place + 1] = RandomID.digit(byte & 0xF)
                place += 2
            }
            return place
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
