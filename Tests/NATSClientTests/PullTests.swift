import Testing

@testable import NATSClient

@Suite("Requests for messages, and how long to wait before connecting again")
struct PullTests {
    @Test("a request ends when it is full")
    func full() {
        var pull = Pull(maximum: 2)
        guard case .goOn = pull.received(NATSMessage(subject: "a")) else { return #expect(Bool(false), "ended early") }
        guard case .end(nil) = pull.received(NATSMessage(subject: "b")) else { return #expect(Bool(false), "not full") }
        #expect(pull.messages.map(\.subject) == ["a", "b"])
    }

    @Test(
        "what the server remarks ends a request as it means",
        arguments: [
            (404, "No Messages", nil), (408, "Request Timeout", nil), (503, "", .noResponders),
            (409, "Consumer Deleted", .notFound), (409, "Leadership Change", .notConnected),
            (409, "Server Shutdown", .notConnected), (409, "Exceeded MaxWaiting", .timeout),
            (409, "Exceeded MaxRequestBatch of 10", .failed), (409, "", .failed), (777, "?", .failed),
        ] as [(Int, String, NATSError.Code?)])
    func remarks(status: Int, description: String, code: NATSError.Code?) {
        var pull = Pull(maximum: 2)
        guard case .end(let error) = pull.received(status: status, description: description) else {
            return #expect(Bool(false), "it goes on")
        }
        #expect(error?.code == code)
    }

    @Test("a heartbeat means nothing")
    func heartbeat() {
        var pull = Pull(maximum: 2)
        guard case .goOn = pull.received(status: 100, description: "Idle Heartbeat") else {
            return #expect(Bool(false), "it ended")
        }
    }

    @Test("pauses between attempts grow to the longest, and are never the same for all")
    func reconnectDelay() {
        let options = NATSConnectionOptions(servers: [])
        #expect(options.reconnectDelay(attempt: 1, random: 0) == .zero)
        #expect(options.reconnectDelay(attempt: 1, random: 0.5) == .milliseconds(25))
        #expect(options.reconnectDelay(attempt: 2, random: 0) == .milliseconds(50))
        #expect(options.reconnectDelay(attempt: 3, random: 0) == .milliseconds(100))
        for attempt in [10, 100, Int.max] {
            #expect(options.reconnectDelay(attempt: attempt, random: 0) == .seconds(1))
            #expect(options.reconnectDelay(attempt: attempt, random: 0.999) <= .seconds(2))
        }
        #expect(options.reconnectDelay(attempt: .min, random: 0.5) == .milliseconds(25))
    }

    @Test("durations become milliseconds and nanoseconds without a trap, however long")
    func durations() {
        #expect(Duration.milliseconds(1500).wholeMilliseconds == 1500)
        #expect(Duration.nanoseconds(1).wholeMilliseconds == 1)
        #expect(Duration.seconds(-5).wholeMilliseconds == 0)
        #expect(Duration.seconds(Int64.max).wholeMilliseconds > 0)
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
        #expect(Duration.seconds(9_223_372_036).wholeNanoseconds == 9_223_372_036_000_000_000)
        #expect((Duration.seconds(9_223_372_036) + .milliseconds(999)).wholeNanoseconds == .max)
    }

    @Test("while there is no link messages are kept in order up to the bound, then refused")
    func backlog() {
        var state = ConnectionState()
        let message = NATSMessage(subject: "a", payload: [UInt8](repeating: 0, count: 35))
        for _ in 0..<10 {
            guard case .kept = state.route(message, replyTo: nil, limit: 1000) else {
                return #expect(Bool(false), "not kept")
            }
        }
        guard case .refused(let error) = state.route(message, replyTo: nil, limit: 1000) else {
            return #expect(Bool(false), "not refused")
        }
        #expect(error.code == .notConnected)
        state.phase = .closed
        guard case .refused(let error) = state.route(message, replyTo: nil, limit: 1000) else {
            return #expect(Bool(false), "not refused")
        }
        #expect(error.code == .closed)
    }
}
