import Deflate
import JSON
import TestKit
import Testing

@testable import GatewayEdge

/// Requests and frames, a little wrong: they are understood or refused, bounded, and never trap.
@Suite struct EdgeMutationTests {
    private func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let mask: [UInt8] = [9, 8, 7, 6]
        let length: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)]
            : [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        return [first] + length + mask + payload.enumerated().map { $0.element ^ mask[$0.offset % 4] }
    }

    @Test("mutated frames, compressed ones too, in pieces of any size", arguments: 0..<400)
    func frames(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = Array(String(repeating: "{\"text\":\"grüße\"}", count: 30).utf8)
        let compressed = try #require(MessageDeflater()?.deflate(text))
        let valid =
            frame(0x81, Array("hello".utf8)) + frame(0xC1, compressed) + frame(0x41, Array(compressed[..<20]))
            + frame(0x89, [1, 2]) + frame(0x80, Array(compressed[20...])) + frame(0x82, text) + frame(0x88, [3, 0xE8])
        let bytes = Mutation.mutate(valid, using: &random)
        for inflater in [nil, MessageInflater()] {
            var parser = WebSocketFrameParser()
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...200, using: &random))
                rest = rest.dropFirst(piece.count)
                guard let inputs = try? parser.feed(Array(piece), maximumMessageBytes: 1000, inflater: inflater) else {
                    break
                }
                for input in inputs {
                    switch input {
                    case .text(let message), .binary(let message):
                        #expect(message.count <= 1000, "seed \(seed)")
                    case .ping, .pong, .close: break
                    }
                }
            }
        }
    }

    @Test("mutated handshakes get an answer", arguments: 0..<400)
    func heads(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let valid =
            "GET /ws/room%3Alobby?token=a%2Bb&x=1 HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n"
            + "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "Sec-WebSocket-Version: 13\r\nOrigin: http://example.org\r\n"
            + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        let bytes = Mutation.mutate(Array(valid.utf8), using: &random)
        guard let head = try? RequestHead(parsing: bytes) else { return }
        let compression = PerMessageDeflate.accept(head.list("sec-websocket-extensions"))
        switch WebSocketHandshake.answer(head, origins: OriginPolicy([]), extension: compression) {
        case .accept(let response):
            // Nothing of the request's may become a line of the answer.
            #expect(response.split(separator: "\r\n").count <= 6, "seed \(seed): \(response)")
        case .refuse(let status, _, _): #expect((400..<500).contains(status), "seed \(seed)")
        }
    }

    @Test("mutated questions of polls are understood or refused", arguments: 0..<400)
    func questions(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let query = Mutation.mutate(
            Array("channel=room%3Aa&channel=topic%3Ab&after=room%253Aa~e~7&wait=1.5".utf8), using: &random)
        let parameters = PercentEncoding.query(String(decoding: query, as: UTF8.self))
        if let question = try? PollRoute.question(parameters: parameters) {
            #expect(question.wait >= .zero && question.wait <= .seconds(60), "seed \(seed)")
        }
        let body = Mutation.mutate(
            Array(#"{"channels":["room:a","topic:b"],"after":"room%3Aa~e~7","wait":30}"#.utf8), using: &random)
        if let value = try? JSONValue(parsing: body), let question = try? PollRoute.question(body: value) {
            #expect(question.wait >= .zero && question.wait <= .seconds(60), "seed \(seed)")
        }
    }
}
