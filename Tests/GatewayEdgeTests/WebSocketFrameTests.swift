import Deflate
import Testing

@testable import GatewayEdge

@Suite struct WebSocketFrameTests {
    /// A frame as a client sends it, masked.
    private func frame(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, mask: [UInt8] = [1, 2, 3, 4]) -> [UInt8]
    {
        var bytes: [UInt8] = [(final ? 0x80 : 0) | opcode]
        switch payload.count {
        case 0...125: bytes.append(0x80 | UInt8(payload.count))
        case 126...65_535: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            bytes.append(0x80 | 127)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        return bytes + mask + payload.enumerated().map { $0.element ^ mask[$0.offset % 4] }
    }

    private func parse(_ bytes: [UInt8], chunks: [Int], limit: Int = 1 << 20) throws -> [WebSocketInput] {
        var parser = WebSocketFrameParser()
        var inputs: [WebSocketInput] = []
        var rest = bytes[...]
        for chunk in chunks + [bytes.count] where !rest.isEmpty {
            inputs += try parser.feed(Array(rest.prefix(chunk)), maximumMessageBytes: limit)
            rest = rest.dropFirst(chunk)
        }
        return inputs
    }

    private var conversation: ([UInt8], [WebSocketInput]) {
        let long = Array(repeating: UInt8(ascii: "x"), count: 300)
        let huge = Array(repeating: UInt8(ascii: "y"), count: 70_000)
        let bytes =
            frame(1, Array("hello".utf8)) + frame(9, [7]) + frame(1, Array("fr".utf8), final: false)
            + frame(0, Array("ag".utf8), final: false) + frame(10, []) + frame(0, Array("ment".utf8))
            + frame(2, long) + frame(1, huge) + frame(1, []) + frame(8, [0x03, 0xE8])
        let inputs: [WebSocketInput] = [
            .text(Array("hello".utf8)), .ping([7]), .pong, .text(Array("fragment".utf8)), .binary(long), .text(huge),
            .text([]), .close(code: 1000),
        ]
        return (bytes, inputs)
    }

    @Test("how the bytes are cut does not matter", arguments: 0..<60)
    func chunks(_ seed: UInt64) throws {
        var random = SystemRandomNumberGenerator()
        let (bytes, expected) = conversation
        let size = [1, 2, 3, 7, 100, 5000][Int(seed) % 6]
        let chunks = (0..<(bytes.count / size + 1)).map { _ in Int.random(in: 1...size, using: &random) }
        #expect(try parse(bytes, chunks: chunks) == expected, "chunks up to \(size): \(chunks.prefix(50))")
    }

    struct Violation: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let code: UInt16
        var testDescription: String { name }
    }

    static let violations: [Violation] = [
        Violation(name: "unmasked", bytes: [0x81, 0x01, 0x41], code: 1002),
        Violation(name: "reserved bit", bytes: [0xC1, 0x80, 0, 0, 0, 0], code: 1002),
        Violation(name: "unknown opcode", bytes: [0x83, 0x80, 0, 0, 0, 0], code: 1002),
        Violation(name: "long ping", bytes: [0x89, 0xFE, 0, 126], code: 1002),
        Violation(name: "ping in fragments", bytes: [0x09, 0x80, 0, 0, 0, 0], code: 1002),
        Violation(name: "continuation of nothing", bytes: [0x80, 0x80, 0, 0, 0, 0], code: 1002),
        Violation(
            name: "message within another", bytes: [0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0], code: 1002),
        Violation(name: "half a close code", bytes: [0x88, 0x81, 0, 0, 0, 0, 3], code: 1002),
        Violation(name: "close code 1005", bytes: [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], code: 1002),
        Violation(name: "not UTF-8", bytes: [0x81, 0x81, 0, 0, 0, 0, 0xFF], code: 1007),
        Violation(name: "too big", bytes: [0x81, 0xFE, 0xFF, 0xFF], code: 1009),
        Violation(
            name: "absurdly big", bytes: [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], code: 1009),
        Violation(
            name: "too big in fragments",
            bytes: [0x01, 0xFE, 0, 200, 0, 0, 0, 0] + Array(repeating: 0x41, count: 200) + [0x80, 0xFE, 0, 200],
            code: 1009),
    ]

    @Test("what no valid client sends ends the connection with the right code", arguments: violations)
    func refuses(_ violation: Violation) {
        var parser = WebSocketFrameParser()
        #expect {
            try parser.feed(violation.bytes, maximumMessageBytes: 256)
        } throws: {
            ($0 as? WebSocketViolation)?.code == violation.code
        }
    }

    @Test("random bytes never trap", arguments: 0..<200)
    func garbage(_ seed: UInt64) {
        var generator = SeededBytes(seed: seed)
        var parser = WebSocketFrameParser()
        for _ in 0..<20 {
            let bytes = (0..<Int(generator.next() % 40)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            guard (try? parser.feed(bytes, maximumMessageBytes: 1000)) != nil else { return }
        }
    }

    @Test("a frame of ours has the length form that its size needs", arguments: [0, 125, 126, 65_535, 65_536])
    func writes(_ size: Int) throws {
        let frame = WebSocketFrameWriter.frame(.text, Array(repeating: 0x61, count: size))
        let header = size < 126 ? 2 : size < 65_536 ? 4 : 10
        #expect(frame.count == header + size)
    }

    @Test("a close reason that is too long is cut between characters")
    func longReason() {
        let frame = WebSocketFrameWriter.close(code: 3000, reason: String(repeating: "ü", count: 100))
        #expect(frame.count <= 127)
    }
}

extension WebSocketFrameParser {
    mutating func feed(
        _ bytes: [UInt8], maximumMessageBytes: Int, inflater: MessageInflater? = nil
    ) throws(WebSocketViolation) -> [WebSocketInput] {
        try feed(bytes.span, maximumMessageBytes: maximumMessageBytes, inflater: inflater)
    }
}

struct SeededBytes {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
