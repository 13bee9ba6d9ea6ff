/// Counts different values: exactly up to a limit, by estimate beyond it.
package struct DistinctCounter {
    /// Counts exactly; a table with open addressing in which two zeros are a free place.
    private var table: [FieldHashPair]
    private var used = 0
    private let limit: Int
    /// Estimates, once the limit is exceeded; the table is empty then.
    private var estimate: HyperLogLog?

    private typealias FieldHashPair = (high: UInt64, low: UInt64)

    package init(limit: Int) {
        self.limit = limit
        table = Array(repeating: (0, 0), count: 16)
    }

    package var isExact: Bool { estimate == nil }

    package var count: Int { estimate?.count ?? used }

    package mutating func insert(_ hash: FieldHash) {
        if estimate != nil {
            estimate?.insert(hash.high)
            return
        }
        // A free place looks like two zeros, so no value may.
        let pair = hash.high | hash.low == 0 ? (high: 1, low: 0) : (high: hash.high, low: hash.low)
        guard place(pair) else { return }
        used += 1
        if used > limit {
            var estimate = HyperLogLog()
            for pair in table where pair.high | pair.low != 0 { estimate.insert(pair.high) }
            self.estimate = estimate
            table = []
        } else if used * 2 > table.count {
            let old = table
            table = Array(repeating: (0, 0), count: old.count * 2)
            for pair in old where pair.high | pair.low != 0 { _ = place(pair) }
        }
    }

    /// Puts `pair` into the table; false if it was there.
    private mutating func place(_ pair: FieldHashPair) -> Bool {
        let mask = table.count - 1
        var index = Int(truncatingIfNeeded: pair.low) & mask
        while true {
            let present = table[index]
            if present.high == pair.high && present.low == pair.low { return false }
            if present.high | present.low == 0 {
                table[index] = pair
                return true
            }
            index = (index + 1) & mask
        }
    }
}
