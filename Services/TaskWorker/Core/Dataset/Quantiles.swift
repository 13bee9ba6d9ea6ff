/// Quartiles of a stream of numbers: exact while there are few, by a sketch of constant size beyond that.
package struct Quantiles {
    private let limit: Int
    private var values: [Double] = []
    private var sketch: TDigest?

    package init(limit: Int) { self.limit = limit }

    package var isExact: Bool { sketch == nil }

    package mutating func add(_ value: Double) {
        if sketch != nil {
            sketch?.add(value)
            return
        }
        values.append(value)
        if values.count > limit {
            var sketch = TDigest()
            for value in values { sketch.add(value) }
            self.sketch = sketch
            values = []
        }
    }

    /// The values below which a quarter, a half and three quarters of the numbers lie; nil if there is no number.
    ///
    /// Exact ones are interpolated linearly between the two nearest ranks (type 7 of Hyndman and Fan), as numpy, pandas
    /// and R do by default.
    package mutating func quartiles() -> [Double]? {
        let fractions = [0.25, 0.5, 0.75]
        if sketch != nil { return fractions.compactMap { sketch?.quantile($0) } }
        guard !values.isEmpty else { return nil }
        values.sort()
        return fractions.map { fraction in
            let rank = Double(values.count - 1) * fraction
            let lower = Int(rank)
            let upper = min(lower + 1, values.count - 1)
            return values[lower] + (values[upper] - values[lower]) * (rank - Double(lower))
        }
    }
}
