import GatewaySession
import GatewayWire
import JSON
import NIOCore
import Testing

@testable import GatewayEdge

@Suite struct PollQuestionTests {
    private let cursor = "room%3Alobby~e~7"

    private func ask(_ pairs: (String, String)...) throws -> PollRoute.Question {
        try PollRoute.question(parameters: pairs.map { (name: $0.0, value: $0.1) })
    }

    @Test("channels, position and wait are read, from the address and from a body")
    func reads() throws {
        let asked = try ask(("channel", "room:lobby"), ("channel", "topic:a"), ("after", cursor), ("wait", "1.5"))
        #expect(asked.channels == ["room:lobby", "topic:a"])
        #expect(asked.after == ChannelCursor(cursor))
        #expect(asked.wait == .milliseconds(1500))
        let body: JSONValue = ["channels": ["room:lobby", "topic:a"], "after": .string(cursor), "wait": 1.5]
        #expect(try PollRoute.question(body: body) == asked)
    }

    @Test("what is not given has a default, and a wait is bounded")
    func defaults() throws {
        #expect(try ask(("channel", "a")).wait == .seconds(25))
        #expect(try ask(("channel", "a"), ("wait", "86400")).wait == .seconds(60))
        #expect(try ask(("channel", "a"), ("wait", "0")).wait == .zero)
        #expect(try ask(("channel", "a"), ("after", "")).isUnreadable == false)
        #expect(try PollRoute.question(body: ["channels": ["a"], "after": nil]).after == nil)
    }

    @Test("a position that is none of ours is no error, but nothing is recovered")
    func rubbish() throws {
        let asked = try ask(("channel", "a"), ("after", "rubbish"))
        #expect(asked.after == nil)
        #expect(asked.isUnreadable)
    }

    @Test("what cannot be meant is refused", arguments: ["-1", "nan", "inf", "soon", "1e400", ""])
    func badWait(_ wait: String) {
        #expect(throws: HTTPFailure.self) { try ask(("channel", "a"), ("wait", wait)) }
    }

    @Test("a body that is none is refused", arguments: [JSONValue.null, [], ["channels": [1]], [:], ["channels": []]])
    func badBody(_ body: JSONValue) {
        #expect(throws: HTTPFailure.self) { try PollRoute.question(body: body) }
    }

    @Test("more channels than a position can hold are refused")
    func tooMany() {
        let body: JSONValue = ["channels": .array((0..<1025).map { .string("c\($0)") })]
        #expect(throws: HTTPFailure.self) { try PollRoute.question(body: body) }
    }
}

@Suite struct CrossOriginTests {
    @Test(
        "the routes for clients are covered however they are spelled",
        arguments: ["/events", "/events/", "//poll", "/%65vents", "/rpc/a.b", "/rpc", "/socket/longpoll"])
    func covered(_ path: String) { #expect(CrossOrigin.covers(path)) }

    @Test(
        "the server API and the page are not",
        arguments: ["/", "/api/publish", "/apus.js", "/socket", "/eventsx", "/%zz"])
    func notCovered(_ path: String) { #expect(!CrossOrigin.covers(path)) }
}

@Suite struct ConnectionAdmissionTests {
    @Test("those beyond the limit are told, those far beyond it are dropped, and places come back")
    func admission() {
        let admission = ConnectionAdmission(maximum: 2, metrics: .init())
        #expect((0..<2).map { _ in admission.entered() } == [.serve, .serve])
        #expect((0..<256).allSatisfy { _ in admission.entered() == .refuse })
        #expect(admission.entered() == .drop)
        for _ in 0..<258 { admission.left() }
        #expect(admission.entered() == .serve)
        #expect(admission.entered() == .refuse)
    }

    @Test("a body may be slow, but not as slow as it likes")
    func bodies() {
        let start = NIODeadline.uptimeNanoseconds(0)
        #expect(SlowRequestHandler.deadline(start: start, received: 0) == start + .seconds(20))
        #expect(SlowRequestHandler.deadline(start: start, received: 10_240) == start + .seconds(30))
    }
}

@Suite struct PerMessageDeflateTests {
    private let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    @Test("the offers of browsers and libraries are accepted without any window being kept")
    func accepts() {
        for offer in [
            "permessage-deflate", "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=12 ;  server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ] {
            #expect(PerMessageDeflate.accept([offer]) == plain, "\(offer)")
        }
        #expect(
            PerMessageDeflate.accept(["permessage-deflate; server_max_window_bits=15"])
                == plain + "; server_max_window_bits=15")
        #expect(
            PerMessageDeflate.accept([
                "x-webkit-frame", "permessage-deflate; server_max_window_bits=10", "permessage-deflate",
            ])
                == plain)
    }

    @Test(
        "what cannot be met or is no offer is declined",
        arguments: [
            "", "deflate", "permessage-deflate; server_max_window_bits=9", "permessage-deflate; unknown",
            "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover=1", "permessage-deflate;",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_max_window_bits",
        ])
    func declines(_ offer: String) { #expect(PerMessageDeflate.accept([offer]) == nil) }
}
