#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// Estimates how many different values a stream holds, in 16 KiB. The standard error is 0.8 %.
///
/// The estimator is Ertl's improved one (arXiv 1702.01284, section 3), which needs neither tables nor a switch between
/// ranges.
package struct HyperLogLog {
    private static let precision = 14
    private static let remaining = 64 - precision
    private var registers = [UInt8](repeating: 0, count: 1 << precision)

    package init() {}

    /// - Parameter hash: 64 well mixed bits of the value.
    package mutating func insert(_ hash: UInt64) {
        let index = Int(hash >> UInt64(HyperLogLog.remaining))
        // The guard bit bounds the count of zeros where all remaining bits are.
        let rest = hash << UInt64(HyperLogLog.precision) | 1 << UInt64(HyperLogLog.precision - 1)
        registers[index] = max(registers[index], UInt8(rest.leadingZeroBitCount + 1))
    }

    package var count: Int {
        var histogram = [Int](repeating: 0, count: HyperLogLog.remaining + 2)
        for register in registers { histogram[Int(register)] += 1 }
        let size = Double(registers.count)
        var sum = size * HyperLogLog.tau((size - Double(histogram[HyperLogLog.remaining + 1])) / size)
        for value in stride(from: HyperLogLog.remaining, through: 1, by: -1) {
            sum = 0.5 * (sum + Double(histogram[value]))
        }
        sum += size * HyperLogLog.sigma(Double(histogram[0]) / size)
        guard sum.isFinite, sum > 0 else { return 0 }
        return Int(exactly: (size * size / (2 * log(2)) / sum).rounded()) ?? .max
    }

    private static func sigma(_ start: Double) -> Double {
        guard start < 1 else { return .infinity }
        var x = start
        var y = 1.0
        var z = x
        while true {
            x *= x
            let previous = z
            z += x * y
            y += y
            if z == previous { return z }
        }
    }

    private static func tau(_ start: Double) -> Double {
        guard start > 0, start < 1 else { return 0 }
        var x = start
        var y = 1.0
        var z = 1 - x
        while true {
            x = x.squareRoot()
            let previous = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == previous { return z / 3 }
        }
    }
}
