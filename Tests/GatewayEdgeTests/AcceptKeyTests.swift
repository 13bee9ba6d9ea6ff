import Crypto
import Foundation
import TestKit
import Testing

@testable import GatewayEdge

@Suite("The key of a WebSocket's handshake")
struct AcceptKeyTests {
    @Test("is answered as in RFC 6455")
    func standard() { #expect(AcceptKey.answer(to: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") }

    @Test("is answered as Foundation would", arguments: 0..<100 as Range<UInt64>)
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let key = Data((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }).base64EncodedString()
            let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
            #expect(AcceptKey.isKey(key), "seed \(seed): \(key)")
            #expect(AcceptKey.answer(to: key) == Data(digest).base64EncodedString(), "seed \(seed): \(key)")
        }
    }

    @Test(
        "is one if Foundation reads 16 bytes from it, and no more is there to fill up than must be",
        arguments: 0..<100 as Range<UInt64>)
    func mutated(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let bytes = Mutation.mutate(Array("dGhlIHNhbXBsZSBub25jZQ==".utf8), using: &generator)
            let key = String(decoding: bytes, as: UTF8.self)
            let isKey = key.utf8.count == 24 && Data(base64Encoded: key)?.count == 16
            #expect(AcceptKey.isKey(key) == isKey, "seed \(seed): \(key)")
        }
    }
}
