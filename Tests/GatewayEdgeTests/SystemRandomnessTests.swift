import Testing

@testable import GatewayApp

@Suite struct SystemRandomnessTests {
    @Test("no word comes twice, over many fetches and from many threads")
    func different() async {
        let source = SystemRandomness()
        let words = await withTaskGroup(of: [UInt64].self) { group in
            for _ in 0..<4 { group.addTask { (0..<1000).map { _ in source.next() } } }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(words).count == 4000)
    }
}
