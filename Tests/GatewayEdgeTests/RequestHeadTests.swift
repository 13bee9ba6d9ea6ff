import Testing

@testable import GatewayEdge

@Suite struct RequestHeadTests {
    private static let handshake = """
        GET /ws/room%3Alobby?token=a%2Bb&x=1+2 HTTP/1.1\r
        Host: example.org\r
        Upgrade: WebSocket\r
        Connection: keep-alive, Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Origin: http://example.org\r
        \r

        """

    private func head(_ text: String = handshake) throws -> RequestHead { try RequestHead(parsing: Array(text.utf8)) }

    @Test("path, query and headers are read")
    func reads() throws {
        let head = try head()
        #expect(head.method == "GET")
        #expect(head.path == "/ws/room:lobby")
        #expect(head.parameter("token") == "a+b")
        #expect(head.parameter("x") == "1 2")
        #expect(head["HOST"] == "example.org")
        #expect(head.list("connection") == ["keep-alive", "upgrade"])
        #expect(head.token == "a+b")
    }

    @Test(
        "what is not a request is refused",
        arguments: [
            "", "GET\r\n", "GET / FTP/1.0\r\n", "GET  HTTP/1.1\r\n", "GET /%zz HTTP/1.1\r\n", "GET /%ff HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n", "GET / HTTP/1.1\r\n: empty\r\n", "GET / HTTP/1.1\r\n folded: x\r\n",
            "GET http://x/ HTTP/1.1\r\n",
        ])
    func refuses(_ text: String) {
        #expect(throws: RequestHead.Invalid.self) { try head(text) }
    }

    @Test("every beginning of a request is a head or an error, never a trap")
    func prefixes() {
        let bytes = Array(RequestHeadTests.handshake.utf8)
        for length in 0..<bytes.count { _ = try? RequestHead(parsing: Array(bytes[..<length])) }
    }

    @Test("headers are found in any case, the first of several counts, and their values are trimmed")
    func headers() throws {
        let head = try head("GET / HTTP/1.1\r\nX-A:\t one \t\r\nx-a: two\r\nList: a, B ,,c\r\nLIST:d\r\nEmpty:\r\n\r\n")
        #expect(head["x-A"] == "one")
        #expect(head["empty"] == "")
        #expect(head["x"] == nil)
        #expect(head.list("list") == ["a", "b", "c", "d"])
        #expect(head.members("List") == ["a", "B", "c", "d"])
        #expect(head.has("list", member: "b"))
        #expect(!head.has("list", member: "e"))
        #expect(head.has("x-a", "one"))
        #expect(!head.has("x-a", "two"))
        #expect(!head.has("missing", ""))
    }

    @Test("the handshake of RFC 6455 gets the answer of RFC 6455")
    func accepts() throws {
        guard case .accept(let response) = WebSocketHandshake.answer(try head(), origins: OriginPolicy([])) else {
            Issue.record("refused")
            return
        }
        #expect(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        #expect(response.hasSuffix("\r\n\r\n"))
    }

    @Test("a handshake that lacks something is told what")
    func lacking() throws {
        func status(_ remove: String, _ replacement: String = "") throws -> Int? {
            let text = RequestHeadTests.handshake.replacing(remove, with: replacement)
            guard case .refuse(let status, _, _) = WebSocketHandshake.answer(try head(text), origins: OriginPolicy([]))
            else { return nil }
            return status
        }
        #expect(try status("Upgrade: WebSocket\r\n") == 426)
        #expect(try status("Version: 13", "Version: 8") == 426)
        #expect(try status("dGhlIHNhbXBsZSBub25jZQ==", "short") == 400)
        #expect(try status("http://example.org", "http://evil.example") == 403)
        #expect(try status("Origin: http://example.org\r\n") == nil)
    }

    @Test("origins: the own host, those that are named, or all")
    func origins() {
        #expect(OriginPolicy([]).admits(origin: "https://shop.example", host: "shop.example"))
        #expect(!OriginPolicy([]).admits(origin: "https://shop.example", host: "shop.example:8080"))
        #expect(!OriginPolicy([]).admits(origin: "null", host: "shop.example"))
        #expect(OriginPolicy(["https://a.example"]).admits(origin: "https://A.example", host: "b.example"))
        #expect(!OriginPolicy(["https://a.example"]).admits(origin: "http://a.example", host: "b.example"))
        #expect(OriginPolicy(["*"]).admits(origin: "https://anything.example", host: nil))
        #expect(OriginPolicy([]).admits(origin: nil, host: nil))
    }
}
