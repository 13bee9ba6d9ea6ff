import GatewayWire
import JSON
import Testing

@testable import GatewayEdge

@Suite struct PhoenixOpeningTests {
    private func opening(
        _ query: [(name: String, value: String)], offered: [String] = [], header: String? = nil
    ) throws -> PhoenixOpening {
        try #require(PhoenixOpening(query: query, offered: offered, headerToken: header))
    }

    @Test("who names no version speaks the first; one that is not spoken here is refused")
    func versions() throws {
        #expect(try opening([]).version == .objects)
        #expect(try opening([("vsn", "1.0.0")]).version == .objects)
        #expect(try opening([("vsn", "2.0.0")]).version == .arrays)
        for version in ["3.0.0", "x", "20.0.0", "-1"] {
            #expect(PhoenixOpening(query: [("vsn", version)], headerToken: nil) == nil, "\(version)")
        }
    }

    @Test("tokens are looked for in every usual place, in this order")
    func tokens() throws {
        func token(_ opening: PhoenixOpening) -> String? { opening.token(isGood: { $0 == "good" }) }
        // What phoenix.js 1.8 makes of an `authToken` "a-token".
        let offered = ["phoenix", "base64url.bearer.phx.YS10b2tlbg"]
        #expect(
            token(try opening([("token", "a"), ("params[token]", "b")], offered: offered, header: "c")) == "a")
        #expect(token(try opening([("token", ""), ("params[token]", "b")], offered: offered, header: "c")) == "b")
        #expect(token(try opening([], offered: offered, header: "c")) == "a-token")
        #expect(token(try opening([], header: "c")) == "c")
        #expect(token(try opening([])) == nil)
    }

    @Test("a subprotocol that holds no token in base64 is none", arguments: ["", "*", "a", "/w"])
    func brokenSubprotocol(_ text: String) throws {
        let opening = try opening([], offered: ["phoenix", "base64url.bearer.phx.\(text)"])
        #expect(opening.token(isGood: { _ in true }) == nil)
    }

    @Test("an API key counts only if it is a good token and nothing else was sent")
    func apiKey() throws {
        #expect(try opening([("apikey", "good")]).token(isGood: { $0 == "good" }) == "good")
        #expect(try opening([("apikey", "key")]).token(isGood: { $0 == "good" }) == nil)
        #expect(try opening([("apikey", "good"), ("token", "bad")]).token(isGood: { $0 == "good" }) == "bad")
    }

    @Test("a browser that offered subprotocols gets the one that is spoken")
    func subprotocol() {
        #expect(PhoenixOpening.subprotocol(of: ["phoenix", "base64url.bearer.phx.YQ"]) == "phoenix")
        #expect(PhoenixOpening.subprotocol(of: ["graphql-ws"]) == nil)
        #expect(PhoenixOpening.subprotocol(of: []) == nil)
    }

    @Test("a long-polling session's token is no other token, and cannot name a subject")
    func longPollTokens() throws {
        let token = LongPollToken(node: "5f3a-1", session: "77b0")
        #expect(LongPollToken(token.text) == token)
        for text in [
            "", "apuslp", "apuslp.a", "apuslp..b", "apuslp.a.b.c", "apuslp.*.b", "apuslp.>.b", "x.a.b", "apuslp.a.ü",
        ] {
            #expect(LongPollToken(text) == nil, "\(text)")
        }
        // An application's own token stands beside it.
        let opening = try opening([("token", token.text), ("token", "jwt")])
        #expect(opening.token(isGood: { _ in false }) == "jwt")
    }

    @Test("a frame of a push is JSON text or base64, and survives the way to another gateway")
    func frames() {
        #expect(LongPollFrame.decode("[1]") == Array("[1]".utf8))
        #expect(LongPollFrame.decode("{}") == Array("{}".utf8))
        #expect(LongPollFrame.decode("AAEB") == [0, 1, 1])
        #expect(LongPollFrame.decode("!") == nil)
        for frame in [[0, 1, 1], Array("[1,\"ü\"]".utf8), Array("{}".utf8), [0x5B, 0xFF], []] as [[UInt8]] {
            #expect(LongPollFrame.decode(LongPollFrame.encode(frame)) == frame)
        }
        let request = LongPollRequest.push([[0, 1], Array("[]".utf8)])
        #expect(LongPollRequest(request.json(session: "s")) == request)
        #expect(LongPollRequest(LongPollRequest.poll.json(session: "s")) == .poll)
        #expect(LongPollRequest(["what": "else"]) == nil)
        let answer = LongPollAnswer(status: 200, messages: [Array("[1]".utf8)])
        #expect(LongPollAnswer(answer.json) == answer)
        #expect(LongPollAnswer(["status": "x"]) == nil)
    }
}
