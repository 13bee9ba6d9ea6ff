import JSON
import TaskWorkerCore
import TestKit
import Testing

@Suite struct SketchTests {
    @Test("distinct values are exact up to the limit and estimated within three percent beyond it")
    func distinct() {
        var counter = DistinctCounter(limit: 1000)
        for round in 0..<2 {
            for value in 0..<1000 {
                counter.insert(hash(value))
                if round == 0 { #expect(counter.count == value + 1) }
            }
        }
        #expect(counter.isExact)
        for total in [1001, 5000, 40_000, 200_000] {
            for value in 0..<total { counter.insert(hash(value)) }
            #expect(!counter.isExact)
            #expect(abs(Double(counter.count) / Double(total) - 1) < 0.03, "\(counter.count) for \(total)")
        }
    }

    private func hash(_ value: Int) -> FieldHash {
        Array("value \(value)".utf8).withUnsafeBufferPointer { FieldHash($0) }
    }

    @Test("values that differ in one bit or in trailing zeros have different hashes")
    func hashes() {
        var seen: Set<FieldHash> = []
        var texts: [[UInt8]] = [[], [0], [0, 0], Array(repeating: 0, count: 8), Array(repeating: 0, count: 9)]
        for position in 0..<20 {
            for bit in 0..<8 {
                var bytes = [UInt8](repeating: 0x41, count: 20)
                bytes[position] ^= 1 << UInt8(bit)
                texts.append(bytes)
            }
        }
        for bytes in texts { seen.insert(bytes.withUnsafeBufferPointer { FieldHash($0) }) }
        #expect(seen.count == texts.count)
    }

    @Test("quartiles stay exact however often few different numbers come")
    func repeatedNumbers() {
        var quantiles = Quantiles(limit: 10)
        for round in 0..<1000 {
            for value in 0..<5 { quantiles.add(Double((value + round) % 5)) }
        }
        #expect(quantiles.isExact)
        #expect(quantiles.quartiles() == [1, 2, 3])
        quantiles.add(0.5)
        #expect(quantiles.quartiles() == [1, 2, 3])
    }

    @Test("exact quartiles interpolate linearly, as numpy does")
    func exactQuartiles() {
        // numpy.percentile(values, [25, 50, 75])
        let cases: [(values: [Double], quartiles: [Double])] = [
            ([7], [7, 7, 7]), ([1, 2], [1.25, 1.5, 1.75]), ([4, 1, 3, 2], [1.75, 2.5, 3.25]),
            ([15, 20, 35, 40, 50], [20, 35, 40]),
        ]
        for (values, quartiles) in cases {
            var quantiles = Quantiles(limit: 10)
            for value in values { quantiles.add(value) }
            #expect(quantiles.quartiles() == quartiles)
            #expect(quantiles.isExact)
        }
        var none = Quantiles(limit: 10)
        #expect(none.quartiles() == nil)
    }

    @Test(
        "estimated quartiles are off by less than half a percent of the ranks, whatever the order and distribution",
        arguments: ["uniform", "sorted", "reversed", "exponential", "steps", "constant"])
    func estimatedQuartiles(distribution: String) throws {
        var random = SeededGenerator(seed: 7)
        var values = (0..<100_000).map { _ in Double.random(in: 0..<1, using: &random) }
        switch distribution {
        case "sorted": values.sort()
        case "reversed": values.sort(by: >)
        case "exponential": values = values.map { 1 / (1 - $0) - 1 }
        case "steps": values = values.map { ($0 * 5000).rounded() }
        case "constant": values = values.map { _ in 42 }
        default: break
        }
        var quantiles = Quantiles(limit: 1000)
        for value in values { quantiles.add(value) }
        let quartiles = quantiles.quartiles()
        let estimates = try #require(quartiles)
        #expect(quantiles.isExact == (distribution == "constant"))
        values.sort()
        for (fraction, estimate) in zip([0.25, 0.5, 0.75], estimates) {
            // The ranks that the estimate could stand for, since equal values share many.
            let below = Double(values.count { $0 < estimate }) / Double(values.count)
            let upTo = Double(values.count { $0 <= estimate }) / Double(values.count)
            let slack = 0.005
            #expect(
                below - slack <= fraction && fraction <= upTo + slack, "\(fraction): \(estimate) is \(below)…\(upTo)")
        }
    }

    @Test("beyond the exact limits the result says so")
    func resultSaysEstimated() throws {
        var summarizer = DatasetSummarizer()
        try feed(Array("n\n".utf8), to: &summarizer)
        for start in stride(from: 0, to: 20_000, by: 1000) {
            try feed(Array((start..<start + 1000).map { "\($0)\n" }.joined().utf8), to: &summarizer)
        }
        let result = try summarizer.finish()
        let column = try #require(result["columns"]?.arrayValue?[0])
        #expect(column["distinct_exact"] == false)
        #expect(column["quartiles_exact"] == false)
        #expect(column["count"] == 20_000)
        #expect(abs(try #require(column["distinct"]?.doubleValue) / 20_000 - 1) < 0.03)
        let quartiles = try #require(column["quartiles"]?.arrayValue).compactMap(\.doubleValue)
        for (estimate, exact) in zip(quartiles, [4999.75, 9999.5, 14_999.25]) { #expect(abs(estimate - exact) < 100) }
        #expect(column["mean"] == 9999.5)
    }
}
