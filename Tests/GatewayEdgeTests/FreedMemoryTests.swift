import Testing

@testable import GatewayApp

@Suite struct FreedMemoryTests {
    @Test("memory is given back once when most of many connections have gone, at the look after the one that sees it")
    func mostAreGone() {
        var freed = FreedMemory()
        let first = looks(at: [0, 20_000, 20_000, 9_999, 9_000, 8_000], &freed)
        #expect(first == [4])
        // From 9,000 on, which stayed.
        let second = looks(at: [8_000, 5_000, 4_499, 3_000], &freed)
        #expect(second == [3])
    }

    @Test("nothing is given back while connections come back, or for a few")
    func nothingToGiveBack() {
        var freed = FreedMemory()
        let returning = looks(at: [10_000, 4_000, 9_000, 4_000, 9_000], &freed)
        #expect(returning.isEmpty)
        var small = FreedMemory()
        let few = looks(at: [FreedMemory.worthwhile - 1, 0, 0, 0], &small)
        #expect(few.isEmpty)
    }

    /// At which of the looks memory is given back.
    private func looks(at counts: [Int], _ freed: inout FreedMemory) -> [Int] {
        counts.indices.filter { freed.looked(connections: counts[$0]) }
    }
}
