/// Quartiles of a stream of numbers: exact while there are few different ones, however often each comes, by a sketch of
/// constant size beyond that.
package struct Quantiles {
    private let limit: Int
    /// How often each number came.
    private var counts: [Double: Int] = [:]
    private var sketch: TDigest?

    /// - Parameter limit: how many different numbers are kept.
    package init(limit: Int) { self.limit = limit }

    package var isExact: Bool { sketch == nil }

    package mutating func add(_ value: Double) {
        if sketch != nil {
            sketch?.add(value)
            return
        }
        counts[value, default: 0] += 1
        if counts.count > limit {
            var sketch = TDigest()
            for (value, count) in counts {
                for _ in 0..<count { sketch.add(value) }
            }
            self.sketch = sketch
            counts = [:]
        }
    }

    /// The values below which a quarter, a half and three quarters of the numbers lie; nil if there is no number.
    ///
    /// Exact ones are interpolated linearly between the two nearest ranks (type 7 of Hyndman and Fan), as numpy, pandas
    /// and R do by default.
    package mutating func quartiles() -> [Double]? {
        let fractions = [0.25, 0.5, 0.75]
        if sketch != nil { return fractions.compactMap { sketch?.quantile($0) } }
        guard !counts.isEmpty else { return nil }
        var total = 0
        let ranked = counts.sorted { $0.key < $1.key }.map { value, count in
            total += count
            return (value: value, end: total)
        }
        // The number at a rank: the first whose occurrences reach beyond it.
        func number(at rank: Int) -> Double {
            var (low, high) = (0, ranked.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if ranked[middle].end > rank { high = middle } else { low = middle + 1 }
            }
            return ranked[low].value
        }
        return fractions.map { fraction in
            let rank = Double(total - 1) * fraction
            let lower = Int(rank)
            let (below, above) = (number(at: lower), number(at: min(lower + 1, total - 1)))
            return below + (above - below) * (rank - Double(lower))
        }
    }
}
