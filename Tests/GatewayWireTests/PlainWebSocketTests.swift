import GatewayWire
import JSON
import Testing

@Suite struct PlainWebSocketTests {
    @Test("a frame is a payload of the address's channel, on one line")
    func publishes() throws {
        var codec = PlainWebSocket(channel: "room:lobby")
        let commands = try codec.decode(Array("{\n \"a\": 1\r\n}".utf8))
        #expect(commands == [.publish(PublishCommand(channel: "room:lobby", payload: Array("{  \"a\": 1  }".utf8)), 1)])
    }

    @Test("what is not JSON gets the promised words", arguments: ["nonsense", "", "{", "\u{FEFF}{}", "[1,]"])
    func refuses(_ frame: String) throws {
        var codec = PlainWebSocket(channel: "room:lobby")
        guard case .malformed(let reason, let reference) = try codec.decode(Array(frame.utf8)).first else {
            Issue.record("\(frame) was taken for JSON")
            return
        }
        let answer = codec.encode(.failure(.badRequest(reason), reference))
        #expect(answer.map { String(decoding: $0, as: UTF8.self) } == #"{"error":"Invalid JSON format"}"#)
    }

    @Test("over the rate limit, the answer says when to come again")
    func rateLimit() throws {
        var codec = PlainWebSocket(channel: "c")
        let answer = codec.encode(.failure(.tooManyRequests(retryAfterSeconds: 3), 1))
        #expect(try JSONValue(parsing: #require(answer)) == ["error": "Rate limit exceeded", "retry_after": 3])
    }

    @Test("messages that were left out are told")
    func dropped() throws {
        var codec = PlainWebSocket(channel: "c")
        let told = codec.encode(.dropped(channel: "c", count: 7))
        #expect(try JSONValue(parsing: #require(told)) == ["type": "dropped", "channel": "c", "count": 7])
    }

    @Test("close codes are those of the contract")
    func closeCodes() {
        #expect(PlainWebSocket.closeCode(.authenticationRequired).code == 4001)
        #expect(PlainWebSocket.closeCode(.authenticationRequired).reason == "Authentication required")
        #expect(PlainWebSocket.closeCode(.invalidToken).code == 4001)
        #expect(PlainWebSocket.closeCode(.permissionDenied).code == 4003)
        #expect(PlainWebSocket.closeCode(.slow).code == 4008)
        #expect(PlainWebSocket.closeCode(.tooManyRequests).code == 4029)
        #expect(PlainWebSocket.closeCode(.shutdown).code == 1001)
        #expect(PlainWebSocket.closeCode(.messageTooBig).code == 1009)
        #expect(PlainWebSocket.closeCode(.expired).code == 4001)
        #expect(PlainWebSocket.closeCode(.forced).code == 4003)
        #expect(
            PlainWebSocket.closeCode(Disconnect(code: 3503, reason: "banned"))
                == Disconnect(code: 4003, reason: "banned"))
        #expect(PlainWebSocket.closeCode(.internalError).code == 1011)
        // A backend's own reaches clients that know it.
        #expect(PlainWebSocket.closeCode(Disconnect(code: 4321, reason: "go")) == Disconnect(code: 4321, reason: "go"))
    }
}
