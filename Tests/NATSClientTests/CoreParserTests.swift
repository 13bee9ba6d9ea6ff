import TestKit
import Testing

@testable import NATSClient

/// An operation as a value of its own.
enum Heard: Equatable {
    case information(String)
    case message(Int, subject: String, replyTo: String, headers: String, payload: [UInt8])
    case ping
    case pong
    case ok
    case error(String)

    init(_ operation: CoreOperation) {
        func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
        self =
            switch operation {
            case .information(let json): .information(text(json))
            case .message(let message):
                .message(
                    message.subscription, subject: text(message.subject), replyTo: text(message.replyTo),
                    headers: text(message.headers), payload: Array(message.payload))
            case .ping: .ping
            case .pong: .pong
            case .ok: .ok
            case .error(let words): .error(text(words))
            }
    }
}

extension CoreParser {
    /// What `bytes` hold, given in pieces that end at `cuts`, and the error that ended it.
    mutating func read(_ bytes: [UInt8], cuts: [Int] = []) -> (heard: [Heard], error: CoreProtocolError?) {
        var heard: [Heard] = []
        var start = 0
        for end in cuts + [bytes.count] {
            let error = bytes[start..<end].withUnsafeBytes { piece -> CoreProtocolError? in
                var piece = piece
                do throws(CoreProtocolError) {
                    while let operation = try next(&piece) { heard.append(Heard(operation)) }
                    #expect(piece.isEmpty)
                    return nil
                } catch {
                    return error
                }
            }
            if let error { return (heard, error) }
            start = end
        }
        return (heard, nil)
    }
}

extension CoreParser {
    /// The same with messages taken several at a time, and looked at when all of these have been found.
    mutating func readTogether(
        _ bytes: [UInt8], cuts: [Int] = [], limit: Int = 32
    ) -> (heard: [Heard], error: CoreProtocolError?) {
        var heard: [Heard] = []
        var start = 0
        for end in cuts + [bytes.count] {
            let error = bytes[start..<end].withUnsafeBytes { piece -> CoreProtocolError? in
                var piece = piece
                var messages: [CoreMessage] = []
                do throws(CoreProtocolError) {
                    repeat {
                        messages = []
                        let other = try nextMessages(&piece, limit: limit, into: &messages)
                        #expect(messages.count <= limit)
                        heard += messages.map { Heard(.message($0)) }
                        if let other { heard.append(Heard(other)) }
                    } while !piece.isEmpty
                    return nil
                } catch {
                    heard += messages.map { Heard(.message($0)) }
                    return error
                }
            }
            if let error { return (heard, error) }
            start = end
        }
        return (heard, nil)
    }
}

@Suite("What a NATS server sends", .timeLimit(.minutes(2)))
struct CoreParserTests {
    static let stream: [UInt8] =
        Array("INFO {\"server_id\":\"x\",\"max_payload\":1048576} \r\n".utf8) + Array("PING\r\n+OK\r\nPONG\r\n".utf8)
        + Array("MSG a.b 7 5\r\nhello\r\n".utf8) + Array("MSG a.b 0 _INBOX.1 0\r\n\r\n".utf8)
        + Array("HMSG a 12 19 24\r\nNATS/1.0\r\nK: ab\r\n\r\nhi\r\nx\r\n".utf8)
        + Array("HMSG a 12 back 12 12\r\nNATS/1.0\r\n\r\n\r\n".utf8)
        + Array("msg\ta  3\t2\n\r\n\r\n".utf8) + Array("-ERR 'Stale Connection'\r\nPING\r\n".utf8)

    static let expected: [Heard] = [
        .information("{\"server_id\":\"x\",\"max_payload\":1048576} "), .ping, .ok, .pong,
        .message(7, subject: "a.b", replyTo: "", headers: "", payload: Array("hello".utf8)),
        .message(0, subject: "a.b", replyTo: "_INBOX.1", headers: "", payload: []),
        .message(
            12, subject: "a", replyTo: "", headers: "NATS/1.0\r\nK: ab\r\n\r\n", payload: Array("hi\r\nx".utf8)),
        .message(12, subject: "a", replyTo: "back", headers: "NATS/1.0\r\n\r\n", payload: []),
        .message(3, subject: "a", replyTo: "", headers: "", payload: Array("\r\n".utf8)),
        .error("'Stale Connection'"), .ping,
    ]

    @Test("every operation is read, whatever its case and blanks")
    func whole() {
        var parser = CoreParser()
        let (heard, error) = parser.read(Self.stream)
        #expect(error == nil)
        #expect(heard.count == Self.expected.count)
        #expect(heard == Self.expected)
    }

    @Test("where the stream is cut changes nothing: at each position, and at each pair of them")
    func cuts() throws {
        func expectSame(_ cuts: [Int]) throws {
            var parser = CoreParser()
            let (heard, error) = parser.read(Self.stream, cuts: cuts)
            // One is enough to know.
            try #require(heard == Self.expected && error == nil, "cut at \(cuts)")
            var second = CoreParser()
            let together = second.readTogether(Self.stream, cuts: cuts)
            try #require(together.heard == Self.expected && together.error == nil, "together, cut at \(cuts)")
        }
        for first in 0...Self.stream.count { try expectSame([first]) }
        for first in stride(from: 0, through: Self.stream.count, by: 3) {
            for second in stride(from: first, through: Self.stream.count, by: 2) { try expectSame([first, second]) }
        }
        try expectSame(Array(0...Self.stream.count))
    }

    @Test("of messages that follow one another as many are found as are wanted, and no other operation is passed over")
    func together() throws {
        let text = "MSG a 1 1\r\nx\r\nMSG b 2 1\r\ny\r\nMSG c 3 1\r\nz\r\nPING\r\nMSG d 4 0\r\n\r\n"
        var parser = CoreParser()
        var numbers: [[Int]] = []
        var others: [Heard?] = []
        try Array(text.utf8).withUnsafeBytes { bytes in
            var rest = bytes
            while !rest.isEmpty {
                var messages: [CoreMessage] = []
                others.append(try parser.nextMessages(&rest, limit: 2, into: &messages).map(Heard.init))
                numbers.append(messages.map(\.subscription))
            }
        }
        #expect(numbers == [[1, 2], [3], [4]])
        #expect(others == [nil, .ping, nil])
    }

    @Test("a large message in many pieces arrives whole, and so does what follows")
    func large() {
        let payload = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = Array("MSG a 1 1000000\r\n".utf8) + payload + Array("\r\nPING\r\n".utf8)
        var parser = CoreParser()
        let (heard, error) = parser.read(bytes, cuts: Array(stride(from: 5, to: bytes.count, by: 65_536)))
        #expect(error == nil)
        #expect(heard == [.message(1, subject: "a", replyTo: "", headers: "", payload: payload), .ping])
    }

    @Test(
        "what is none of the protocol is an error, in one piece and byte by byte",
        arguments: [
            ("HTTP/1.1 400 Bad Request\r\n", CoreProtocolError.unknownOperation), ("\r\n", .unknownOperation),
            ("PINGS\r\n", .unknownOperation), ("MSG\r\n", .unknownOperation), ("MSG \r\n", .malformed),
            ("MSG a 1\r\n", .malformed), ("MSG a x 5\r\nhello\r\n", .malformed), ("MSG a 1 -1\r\n", .malformed),
            ("MSG a 1 b 5 6\r\n", .malformed), ("MSG a 1 99999999999999999999\r\n", .malformed),
            ("MSG a 1 999999999\r\n", .payloadTooLarge(999_999_999)), ("MSG a 1 3\r\nhello\r\n", .unterminatedPayload),
            ("HMSG a 1 5\r\nhello\r\n", .malformed), ("HMSG a 1 6 5\r\nhello\r\n", .malformed),
            ("HMSG a 1 b 5 5 5\r\nhello\r\n", .malformed), ("INFO\r\n", .unknownOperation),
        ])
    func garbage(_ text: String, _ expected: CoreProtocolError) {
        let bytes = Array(text.utf8)
        var parser = CoreParser()
        #expect(parser.read(bytes).error == expected)
        var slow = CoreParser()
        #expect(slow.read(bytes, cuts: Array(0...bytes.count)).error == expected)
    }

    @Test("a line that does not end is not waited for", arguments: [("", 5000), ("MSG ", 5000), ("INFO ", 200_000)])
    func endless(_ beginning: String, _ count: Int) {
        let bytes = Array(beginning.utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: count)
        var parser = CoreParser()
        #expect(parser.read(bytes).error == .lineTooLong)
        var slow = CoreParser()
        #expect(slow.read(bytes, cuts: Array(stride(from: 0, to: bytes.count, by: 100))).error == .lineTooLong)
    }

    @Test("the server's limit of a message is kept, and a larger one is never waited for")
    func limit() {
        var parser = CoreParser()
        parser.maximumPayload = 10
        #expect(parser.read(Array("MSG a 1 10\r\n0123456789\r\n".utf8)).error == nil)
        #expect(parser.read(Array("MSG a 1 11\r\n".utf8)).error == .payloadTooLarge(11))
    }

    @Test("mutated streams are read the same however they are cut, and trap nothing", arguments: 0..<300)
    func mutations(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<10 {
            let bytes = Mutation.mutate(Self.stream, using: &random)
            var whole = CoreParser()
            let expected = whole.read(bytes)
            let cuts = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                Int.random(in: 0...bytes.count, using: &random)
            }
            var cut = CoreParser()
            let found = cut.read(bytes, cuts: cuts.sorted())
            #expect(found.heard == expected.heard && found.error == expected.error, "seed \(seed), cuts \(cuts)")
            var together = CoreParser()
            let limit = Int.random(in: 1...4, using: &random)
            let several = together.readTogether(bytes, cuts: cuts.sorted(), limit: limit)
            #expect(several.heard == expected.heard && several.error == expected.error, "seed \(seed), cuts \(cuts)")
        }
    }
}
