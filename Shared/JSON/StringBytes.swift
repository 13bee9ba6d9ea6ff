/// Looks for the bytes of a string that are not simply passed on, eight at a time.
enum StringBytes {
    private static func each(_ byte: UInt8) -> UInt64 { 0x0101_0101_0101_0101 &* UInt64(byte) }

    /// The place of the first quotation mark, backslash or control character from `start` on, or, unless such pass, byte
    /// of a character beyond ASCII; the end if there is none.
    static func firstSpecial(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, passesMultibyte: Bool) -> Int {
        var index = start
        let raw = UnsafeRawBufferPointer(bytes)
        while index + 8 <= raw.count {
            let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let special = mark(word, passesMultibyte: passesMultibyte)
            if special != 0 { return index + special.trailingZeroBitCount >> 3 }
            index += 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return index }
            if byte >= 0x80, !passesMultibyte { return index }
            index += 1
        }
        return index
    }

    /// Sets the high bit of each special byte of `word`, and beyond the first perhaps of others, since subtracting borrows
    /// from the next byte.
    private static func mark(_ word: UInt64, passesMultibyte: Bool) -> UInt64 {
        let control = word &- each(0x20)
        let quotationMark = (word ^ each(UInt8(ascii: "\""))) &- each(1)
        let backslash = (word ^ each(UInt8(ascii: "\\"))) &- each(1)
        let found = control | quotationMark | backslash
        return (passesMultibyte ? found & ~word : found | word) & each(0x80)
    }
}
