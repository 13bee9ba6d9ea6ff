/// Ids that are the same whenever they are derived from the same parts, in every process and version.
package enum StableID {
    /// 32 hexadecimal digits: the 128-bit FNV-1a hash of the parts, each preceded by its length.
    ///
    /// Not for adversaries: whoever may publish events may also name their ids.
    package static func derive(_ parts: String...) -> String {
        var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        func take(_ byte: UInt8) { hash = (hash ^ UInt128(byte)) &* 0x0100_0000_0000_0000_0000_013b }
        for part in parts {
            withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { $0.forEach(take) }
            part.utf8.forEach(take)
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
