import Events
import TaskWorkerCore
import TestKit
import Testing

@Suite struct ExpiryEntryTests {
    @Test("what is due is found by the patterns of any time up to then, and nothing of it early", arguments: 0..<40)
    func patterns(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let id = try #require(TaskID("a.b-\(seed)"))
        for _ in 0..<50 {
            let moment = Timestamp(nanoseconds: Int64.random(in: 0...3_000_000_000_000_000_000, using: &random))
            let entry = ExpiryEntry(at: moment, user: "=", id: id)
            #expect(ExpiryEntry(subject: entry.subject) == entry)
            #expect(!entry.isDue(moment.advanced(by: .milliseconds(-1))))
            #expect(entry.isDue(moment.advanced(by: .milliseconds(1))))
            let start = moment.advanced(
                by: .milliseconds(-Int64.random(in: 0...[20_000, 9_000_000][seed % 2], using: &random)))
            let end = moment.advanced(by: .milliseconds(Int64.random(in: 1...20_000, using: &random)))
            let patterns = ExpiryEntry.patterns(from: start, through: end)
            #expect(
                patterns.contains { entry.subject.hasPrefix($0.dropLast()) }, "seed \(seed): \(entry) in \(patterns)")
            #expect(patterns.count <= 6)
        }
    }

    @Test("what is no entry is none")
    func malformed() {
        for text in ["", "1.2.3.4", "1.2.x.=.t", "1.2.3..t", "1.2.3.=.", "1.2.3.=.a b"] {
            #expect(ExpiryEntry(subject: text) == nil)
        }
        #expect(ExpiryEntry.patterns(from: Timestamp(seconds: 5), through: Timestamp(seconds: 4)).isEmpty)
    }
}
