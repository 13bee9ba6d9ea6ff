/// What a short operation costs.
struct Measurement {
    let name: String
    /// Nanoseconds of one call: the best of several rounds, which is what the code costs, and their median, which tells
    /// how quiet the machine was.
    let best: Double
    let median: Double
    /// How many calibration loops the best took. Machines differ, and so do moments; this differs less.
    let ratio: Double
    let bytes: Int?

    /// Once more, for what looks like a regression and may be noise.
    let again: () -> Measurement

    init(_ name: String, bytes: Int? = nil, _ operation: @escaping () -> Int) {
        self.name = name
        self.bytes = bytes
        again = { Measurement(name, bytes: bytes, operation) }
        var sink = 0
        var calls = 1
        let clock = ContinuousClock()
        // Short rounds, and many: on a busy machine some of them are left alone.
        while clock.measure({ for _ in 0..<calls { sink &+= operation() } }) < .milliseconds(4) { calls *= 2 }
        var times: [Double] = []
        var calibrations: [Double] = []
        for _ in 0..<50 {
            calibrations.append(clock.measure { sink &+= Calibration.run() } / .nanoseconds(Calibration.loops))
            times.append(clock.measure { for _ in 0..<calls { sink &+= operation() } } / .nanoseconds(calls))
        }
        times.sort()
        best = times[0]
        median = times[times.count / 2]
        ratio = best / (calibrations.min() ?? 1)
        // Keeps the compiler from leaving the work out.
        if sink == .min { print(sink) }
    }
}

/// A loop of what operations here do, arithmetic on bytes and small allocations, run between the rounds of each measurement.
enum Calibration {
    static let loops = 1000
    private static let bytes = (0..<512).map { UInt8(truncatingIfNeeded: $0) }

    @inline(never) static func run() -> Int {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for loop in 0..<loops {
            var copy = bytes
            copy[loop % copy.count] = UInt8(truncatingIfNeeded: hash)
            for byte in copy { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        }
        return Int(truncatingIfNeeded: hash)
    }
}
