/// Checks a stream of bytes, in pieces, to be UTF-8 (RFC 3629) without NUL.
package struct TextCheck {
    /// How many bytes have been found good.
    private var offset: UInt64 = 0
    /// Of a character that the last piece cut in two: how many bytes are to come, and what the next may be.
    private var missing = 0
    private var next: ClosedRange<UInt8> = 0x80...0xBF
    private var characterStart: UInt64 = 0

    package init() {}

    /// Looks at the next piece.
    /// - Returns: nil if it is good; otherwise how many of its bytes are, and what is wrong with the one that follows.
    package mutating func check(_ chunk: UnsafeBufferPointer<UInt8>) -> (good: Int, error: DatasetError)? {
        var position = 0
        let raw = UnsafeRawBufferPointer(chunk)
        while position < chunk.count {
            if missing == 0 {
                // Eight bytes at a time, while all of them are ASCII and none is NUL.
                while position + 8 <= chunk.count {
                    let word = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
                    let hasNUL = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
                    guard (word | hasNUL) & 0x8080_8080_8080_8080 == 0 else { break }
                    position += 8
                }
                guard position < chunk.count else { break }
            }
            let byte = chunk[position]
            if missing > 0 {
                guard next.contains(byte) else { return (position, .notUTF8(offset: characterStart)) }
                missing -= 1
                next = 0x80...0xBF
            } else if byte == 0 {
                return (position, .binary(offset: offset + UInt64(position)))
            } else if byte >= 0x80 {
                characterStart = offset + UInt64(position)
                guard begin(byte) else { return (position, .notUTF8(offset: characterStart)) }
            }
            position += 1
        }
        offset += UInt64(chunk.count)
        return nil
    }

    /// Says that nothing follows.
    /// - Returns: what is wrong if the last character is cut off.
    package func finish() -> DatasetError? { missing > 0 ? .notUTF8(offset: characterStart) : nil }

    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0xC2...0xDF: (missing, next) = (1, 0x80...0xBF)
        case 0xE0: (missing, next) = (2, 0xA0...0xBF)
        case 0xED: (missing, next) = (2, 0x80...0x9F)
        case 0xE1...0xEF: (missing, next) = (2, 0x80...0xBF)
        case 0xF0: (missing, next) = (3, 0x90...0xBF)
        case 0xF1...0xF3: (missing, next) = (3, 0x80...0xBF)
        case 0xF4: (missing, next) = (3, 0x80...0x8F)
        default: return false
        }
        return true
    }
}
