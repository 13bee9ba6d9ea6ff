/// 128 bits that stand for a field's content, so that telling values apart takes constant memory per value.
///
/// Two different values of ten thousand get the same 128 bits with a probability of about 10⁻³¹: counts made with them
/// are called exact. It is not for what an adversary chooses: at the worst a count comes out too low.
package struct FieldHash: Hashable {
    let high: UInt64
    let low: UInt64

    package init(_ bytes: UnsafeBufferPointer<UInt8>) {
        let raw = UnsafeRawBufferPointer(bytes)
        var first: UInt64 = 0x9E37_79B9_7F4A_7C15
        var second: UInt64 = 0xC2B2_AE3D_27D4_EB4F
        var position = 0
        while position + 8 <= raw.count {
            let word = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            first = FieldHash.mix(first ^ word, 0xA076_1D64_78BD_642F)
            second = FieldHash.mix(second &+ word, 0xE703_7ED1_A0B4_28DB)
            position += 8
        }
        var tail: UInt64 = 0
        while position < raw.count {
            tail = tail << 8 | UInt64(raw[position])
            position += 1
        }
        let length = UInt64(raw.count)
        first = FieldHash.mix(first ^ tail, 0x8EBC_6AF0_9C88_C6E3 ^ length)
        second = FieldHash.mix(second &+ tail, 0x5899_65CC_7537_4CC3 ^ length)
        high = FieldHash.finish(first ^ (second << 32 | second >> 32))
        low = FieldHash.finish(second &+ 0x1D8E_4E27_C47D_124F)
    }

    /// Both halves of a product, folded.
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// MurmurHash3's finaliser: each bit of the input changes half of the output's.
    private static func finish(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 33) &* 0xFF51_AFD7_ED55_8CCD
        value = (value ^ value >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return value ^ value >> 33
    }
}
