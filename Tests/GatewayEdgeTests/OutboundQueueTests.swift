import TestKit
import Testing

@testable import GatewayEdge

/// What waits to be written, against a plain list of the bytes that it comes to.
@Suite(.timeLimit(.minutes(1))) struct OutboundQueueTests {
    private static let sizes = [1, 2, 100, 125, 126, 300, 4_000, 65_535, 65_536, 70_000]

    /// As a frame is on the wire: RFC 6455, 5.2.
    private func frame(_ message: [UInt8]) -> [UInt8] {
        let length: [UInt8] =
            switch message.count {
            case ...125: [UInt8(message.count)]
            case ...65_535: [126, UInt8(message.count >> 8), UInt8(message.count & 255)]
            default: [127] + (0..<8).reversed().map { UInt8(message.count >> ($0 * 8) & 255) }
            }
        return [0x81] + length + message
    }

    @Test("whatever is queued comes out whole and in order, in pieces of any size", arguments: 0..<20)
    func order(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = OutboundQueue()
        var expected: [UInt8] = []
        var hasBegun = false
        for _ in 0..<40 {
            switch Int.random(in: 0...5, using: &random) {
            case 0...2:
                let size = Self.sizes.randomElement(using: &random) ?? 1
                // One byte for all: of a neighbour's they differ, mostly, and lengths tell the rest.
                let body = [UInt8](repeating: UInt8.random(in: .min ... .max, using: &random), count: size)
                let isText = Bool.random(using: &random)
                let bytes = isText ? frame(body) : body
                if !hasBegun, Int.random(in: 0...3, using: &random) == 0 {
                    queue.prepend(isText ? .text(body) : .bytes(body))
                    expected = bytes + expected
                } else {
                    queue.append(isText ? .text(body) : .bytes(body))
                    expected += bytes
                }
            default:
                let room = [1, 3, 64, 5_000, 65_536].randomElement(using: &random) ?? 1
                let minimum = Int.random(in: 1...40_000, using: &random)
                let taken = take(from: &queue, room: room, minimum: minimum, using: &random)
                #expect(taken == Array(expected.prefix(taken.count)), "seed \(seed)")
                expected.removeFirst(taken.count)
                hasBegun = hasBegun || !taken.isEmpty
            }
            #expect(queue.count == expected.count, "seed \(seed)")
            #expect(queue.isEmpty == expected.isEmpty, "seed \(seed)")
        }
        while !queue.isEmpty, !expected.isEmpty {
            let taken = take(from: &queue, room: 65_536, minimum: 32_768, atLeast: 1, using: &random)
            #expect(taken == Array(expected.prefix(taken.count)), "seed \(seed)")
            expected.removeFirst(taken.count)
        }
        #expect(expected.isEmpty && queue.isEmpty, "seed \(seed)")
    }

    /// As a socket that takes some of what it is given.
    private func take(
        from queue: inout OutboundQueue, room: Int, minimum: Int, atLeast least: Int = 0,
        using random: inout SeededGenerator
    ) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 8)
        defer { buffer.deallocate() }
        let given = queue.withFront(atLeast: minimum) { Array($0) } ?? Array(buffer[..<queue.gather(into: buffer)])
        let taken = Array(given.prefix(Int.random(in: min(least, given.count)...given.count, using: &random)))
        queue.consume(taken.count)
        return taken
    }

    @Test("an empty message is a frame, and nothing is nothing")
    func empty() {
        var queue = OutboundQueue()
        #expect(queue.isEmpty && queue.count == 0)
        queue.append(.text([]))
        #expect(queue.count == 2)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
        defer { buffer.deallocate() }
        #expect(Array(buffer[..<queue.gather(into: buffer)]) == [0x81, 0])
        queue.consume(2)
        #expect(queue.isEmpty && queue.count == 0)
    }
}
