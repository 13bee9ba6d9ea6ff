import TestKit
import Testing

@testable import GatewayEdge

/// A head is read as bytes; here it is read as text, and both must see the same.
@Suite("The head of a request, as bytes and as text")
struct RequestHeadDifferentialTests {
    private static let heads = [
        "GET /ws/room%3Alobby?token=a%2Bb&x=1+2&&y&=z HTTP/1.1\r\nHost: example.org\r\nUpgrade: WebSocket\r\n"
            + "Connection: keep-alive, Upgrade\r\nConnection:\t x ,,y \r\nEmpty:\r\n: \r\n\r\n",
        "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d:e\r\nX: one\rtwo\nthree \t\r\n\r\nrest: x",
        "\r\n\r\nPOST /? HTTP/1.0\r\nA:b\r\n", " /x HTTP/1.1", "GET /a%zz HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n folded: x",
    ]

    @Test("mutated", arguments: 0..<400 as Range<UInt64>)
    func mutated(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for head in Self.heads {
            // Text splits between characters, and a mark that combines makes another one of a delimiter.
            let bytes = Mutation.mutate(Array(head.utf8), using: &generator).map { $0 & 0x7F }
            let text = String(decoding: bytes, as: UTF8.self)
            let plain = PlainHead(text)
            let read = try? RequestHead(parsing: bytes)
            #expect((read == nil) == (plain == nil), "seed \(seed): \(text)")
            guard let read, let plain else { continue }
            #expect(read.method == plain.method && read.path == plain.path, "seed \(seed): \(text)")
            #expect(read.query.elementsEqual(plain.query, by: ==), "seed \(seed): \(text)")
            for name in ["host", "Upgrade", "CONNECTION", "cookie", "x", "a", "empty", "rest", ""] {
                #expect(read[name] == plain.values(name).first, "seed \(seed), \(name): \(text)")
                #expect(read.members(name) == plain.members(name), "seed \(seed), \(name): \(text)")
                let lower = plain.members(name).map { $0.lowercased() }
                #expect(
                    read.has(name, member: "upgrade") == lower.contains("upgrade"), "seed \(seed), \(name): \(text)")
            }
        }
    }
}

private struct PlainHead {
    var method: String
    var path: String
    var query: [(name: String, value: String)] = []
    private var fields: [(name: String, value: String)] = []

    init?(_ text: String) {
        var lines = text.split(separator: "\r\n")[...]
        let parts = (lines.popFirst() ?? "").split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2].hasPrefix("HTTP/1."), parts[1].hasPrefix("/") else { return nil }
        method = String(parts[0])
        let target = parts[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = PercentEncoding.decode(target[0], plusIsSpace: false) else { return nil }
        self.path = path
        for pair in target.count == 2 ? target[1].split(separator: "&") : [] {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(parts[0], plusIsSpace: true),
                let value = PercentEncoding.decode(parts.count == 2 ? parts[1] : "", plusIsSpace: true)
            else { continue }
            query.append((name, value))
        }
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex, line.first != " ", line.first != "\t"
            else { return nil }
            fields.append((line[..<colon].lowercased(), PlainHead.trimmed(line[line.index(after: colon)...])))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }

    func values(_ name: String) -> [String] { fields.filter { $0.name == name.lowercased() }.map(\.value) }

    func members(_ name: String) -> [String] {
        values(name).flatMap { $0.split(separator: ",") }.map(PlainHead.trimmed)
    }
}
