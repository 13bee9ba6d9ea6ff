/// Valid input made invalid, for tests that nothing from a network traps or hangs a parser.
public enum Mutation {
    /// `bytes` with a few bytes changed, removed, doubled or put elsewhere; the same for the same generator.
    public static func mutate(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var mutated = bytes
        for _ in 0..<Int.random(in: 1...6, using: &random) where !mutated.isEmpty {
            let index = Int.random(in: 0..<mutated.count, using: &random)
            let end = min(mutated.count, index + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: mutated[index] = UInt8.random(in: 0...255, using: &random)
            case 1: mutated[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: mutated.removeSubrange(index..<end)
            case 3: mutated.insert(contentsOf: mutated[index..<end], at: index)
            case 4: mutated.insert(UInt8.random(in: 0...255, using: &random), at: index)
            default: mutated.removeSubrange(index...)
            }
        }
        return mutated
    }
}
