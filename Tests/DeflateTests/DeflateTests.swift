import Deflate
import TestKit
import Testing

@Suite struct DeflateTests {
    private let deflater = MessageDeflater()
    private let inflater = MessageInflater()

    @Test("the message of RFC 7692 has the bytes of RFC 7692")
    func specification() throws {
        let inflater = try #require(inflater)
        let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        #expect(try inflater.inflate(hello, maximumBytes: 5) == Array("Hello".utf8))
        #expect(try #require(deflater).deflate(Array("Hello".utf8)) == hello)
        // Section 7.2.3.3: without compression; 7.2.3.4: a block that says it is the last; 7.2.3.5: two blocks.
        let others: [[UInt8]] = [
            [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ]
        for other in others { #expect(try inflater.inflate(other, maximumBytes: 100) == Array("Hello".utf8)) }
    }

    @Test("what was compressed comes back, whatever came before it", arguments: 0..<100)
    func roundTrip(_ seed: UInt64) throws {
        let (deflater, inflater) = (try #require(deflater), try #require(inflater))
        var random = SeededGenerator(seed: seed)
        for _ in 0..<10 {
            let size = [0, 1, 5, 300, 20_000, 70_000].randomElement(using: &random) ?? 0
            let spread = UInt8.random(in: 0...255, using: &random)
            let message = (0..<size).map { _ in UInt8.random(in: 0...spread, using: &random) }
            let compressed = try #require(deflater.deflate(message), "seed \(seed)")
            #expect(try inflater.inflate(compressed, maximumBytes: size) == message, "seed \(seed), \(size) bytes")
            if size > 0 {
                #expect(throws: MessageInflater.Failure.tooBig, "seed \(seed), \(size) bytes") {
                    try inflater.inflate(compressed, maximumBytes: size - 1)
                }
            }
        }
    }

    @Test("a bomb is not unpacked beyond the bound")
    func bomb() throws {
        let inflater = try #require(inflater)
        let bomb = try #require(deflater?.deflate(Array(repeating: 0x20, count: 50_000_000)))
        #expect(bomb.count < 500_000)
        #expect(throws: MessageInflater.Failure.tooBig) { try inflater.inflate(bomb, maximumBytes: 65_536) }
        #expect(try inflater.inflate([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], maximumBytes: 65_536).count == 5)
    }

    @Test("bytes that are changed or cut are an error or another message, never a trap", arguments: 0..<300)
    func mutation(_ seed: UInt64) throws {
        let (deflater, inflater) = (try #require(deflater), try #require(inflater))
        var random = SeededGenerator(seed: seed)
        let message = (0..<500).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var bytes = try #require(deflater.deflate(message))
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        bytes.removeLast(Int.random(in: 0...bytes.count / 2, using: &random))
        do throws(MessageInflater.Failure) {
            let unpacked = try inflater.inflate(bytes, maximumBytes: 10_000)
            #expect(unpacked.count <= 10_000, "seed \(seed)")
        } catch {
            #expect(error == .malformed || error == .tooBig, "seed \(seed)")
        }
    }
}
