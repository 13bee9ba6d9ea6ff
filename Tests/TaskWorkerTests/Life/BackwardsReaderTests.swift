import TaskWorkerCore
import TestKit
import Testing

@Suite struct BackwardsReaderTests {
    @Test("every message is read once, newest first, however many are missing or are others'", arguments: 0..<60)
    func all(seed: Int) {
        var random = SeededGenerator(seed: seed)
        let first = UInt64.random(in: 1...50, using: &random)
        let length = UInt64.random(in: 0...30_000, using: &random)
        let densities: [Double] = [0.0005, 0.02, 0.5, 1]
        let density = densities[Int.random(in: 0..<4, using: &random)]
        var stored: [UInt64] = []
        for sequence in first..<(first + length) where Double.random(in: 0..<1, using: &random) < density {
            stored.append(sequence)
        }
        let before = UInt64.random(in: 0...(first + length + 5), using: &random)
        var reader = BackwardsReader(first: first, before: before, count: Int.random(in: 1...300, using: &random))
        var read: [UInt64] = []
        var rounds = 0
        while let window = reader.window {
            rounds += 1
            #expect((1...BackwardsReader.maximumCount).contains(window.limit), "seed \(seed)")
            // As the bus answers: oldest first, those from `before` on too.
            let found = stored.filter { $0 > window.after }.prefix(window.limit).filter { $0 < window.before }
            if reader.read(found.count) { read += found.reversed() }
            if rounds > 5000 { break }
        }
        #expect(read == stored.filter { $0 < before }.reversed(), "seed \(seed)")
        #expect(rounds <= 40 + stored.count / 10, "seed \(seed)")
    }

    @Test("the ends of the range are no trap")
    func ends() {
        var reader = BackwardsReader(first: 0, before: .max, count: 0)
        while reader.window != nil {
            let isWhole = reader.read(0)
            #expect(isWhole)
        }
        #expect(BackwardsReader(first: 1, before: 0, count: 5).window == nil)
        #expect(BackwardsReader(first: 1, before: 1, count: 5).window == nil)
    }
}
