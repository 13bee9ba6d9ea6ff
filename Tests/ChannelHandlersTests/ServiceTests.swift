import ChannelHandlers
import EventBus
import Events
import JSON
import Logging
import Synchronization
import TestKit
import Testing

/// Does what its questions ask for, and remembers them.
private actor Room: ChannelHandler {
    let channel: ServedChannel
    let gate: Gate
    let heard: Inbox<String>
    private var joined = 0

    init(_ channel: ServedChannel, gate: Gate, heard: Inbox<String>) {
        self.channel = channel
        self.gate = gate
        self.heard = heard
    }

    func join(_ join: ChannelJoin) async throws -> JoinAnswer {
        heard.append("join \(join.caller.user ?? "nobody")")
        guard join.caller.user != "banned" else { throw RPCError(403, "you are banned") }
        if join.isRenewal { return .welcome(expiresIn: .seconds(60)) }
        joined += 1
        return .welcome(["joined": .integer(Int64(joined)), "data": join.data])
    }

    func handle(_ event: ChannelEvent) async throws -> EventAnswer {
        struct Secret: Error {}
        heard.append(event.name)
        switch event.name {
        case "message": return .broadcast(["text": event.data, "by": .string(event.caller.user ?? "")], reply: "kept")
        case "typing": return .broadcastToOthers()
        case "passing": return .broadcast(storing: false)
        case "echo": return .reply(event.data)
        case "announce":
            try await channel.broadcast(event.data, event: "news", headers: event.headers)
            return .handled
        case "wait":
            await gate.pass()
            return .reply("waited")
        case "teapot": throw RPCError(418, "I am a teapot")
        case "odd": throw RPCError(7, "an error without a proper code")
        case "away": throw BusError(.notConnected, "no server")
        case "fail": throw Secret()
        default: throw RPCError(404, "there is no event of that name here")
        }
    }

    func leave(_ leave: ChannelLeave) async { heard.append("leave \(leave.caller.user ?? "nobody"): \(leave.reason)") }
}

/// Lets everybody in.
private struct Hall: ChannelHandler {
    func join(_ join: ChannelJoin) async throws -> JoinAnswer { .welcome() }
}

private final class Count: Sendable {
    let value = Atomic<Int>(0)
}

@Suite("A service of channel handlers", .timeLimit(.minutes(1)))
struct ServiceTests {
    private let bus = MemoryBus()
    private let clock = ManualClock()
    private let gate = Gate()
    private let heard = Inbox<String>()
    /// How many handlers were made.
    private let made = Count()

    private func service(_ options: ChannelHandlerService.Options = .init()) -> ChannelHandlerService {
        ChannelHandlerService(
            namespace: "chat", name: "chat", version: "1.0.0", description: "chat rooms", bus: bus,
            subjects: .standard, logger: Logger(label: "test"), options: options, clock: clock
        ) { [self] channel in
            made.value.add(1, ordering: .relaxed)
            return Room(channel, gate: gate, heard: heard)
        }
    }

    private func serving(_ service: ChannelHandlerService, _ body: () async throws -> Void) async throws {
        let running = Task { try await service.methods.run() }
        while (try? await bus.request(BusMessage(subject: "$SRV.PING.chat"), timeout: .seconds(5))) == nil {
            await Task.yield()
        }
        do {
            try await body()
        } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        try await running.value
    }

    private func ask(_ hook: String, _ question: JSONValue, headers: BusHeaders = [:]) async throws -> RPCReply? {
        RPCReply(
            payload: try await bus.request(
                BusMessage(subject: "apus.hook.chat.\(hook)", headers: headers, payload: question.serialized()),
                timeout: .seconds(30)
            ).payload)
    }

    private func check(
        _ reply: RPCReply?, _ expected: RPCReply, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(reply == expected, sourceLocation: sourceLocation)
    }

    private func join(_ room: String = "lobby", user: String = "42", with more: JSONObject = [:]) async throws
        -> RPCReply?
    {
        let question: JSONObject = ["channel": .string("chat:\(room)"), "user": .string(user), "client": "c1"]
        return try await ask("subscribe", .object(question.merging(more)))
    }

    private func send(
        _ event: String, _ data: JSONValue = nil, to room: String = "lobby", headers: BusHeaders = [:]
    ) async throws -> RPCReply? {
        try await ask(
            "publish",
            [
                "channel": .string("chat:\(room)"), "user": "42", "client": "c1", "event": .string(event), "data": data,
            ], headers: headers)
    }

    @Test("one handler answers for a channel, and keeps what it knows from question to question")
    func oneHandler() async throws {
        try await serving(service()) {
            check(try await join(with: ["data": ["since": 3]]), .result(["data": ["joined": 1, "data": ["since": 3]]]))
            check(try await join(), .result(["data": ["joined": 2, "data": nil]]))
            check(try await join("other"), .result(["data": ["joined": 1, "data": nil]]))
            #expect(made.value.load(ordering: .relaxed) == 2)
            check(try await join(with: ["renewal": true]), .result(["expires_in": 60]))
        }
    }

    @Test("an event is passed on by the gateway, or replied to, or refused")
    func events() async throws {
        try await serving(service()) {
            check(try await send("message", "hi"), .result(["data": ["text": "hi", "by": "42"], "reply": "kept"]))
            check(try await send("echo", [1, 2]), .result(["publish": false, "reply": [1, 2]]))
            check(try await send("nonsense"), .error(RPCError(404, "there is no event of that name here")))
        }
    }

    @Test("what goes to others is published by the service, without the sender and with its name and trace")
    func others() async throws {
        let channel = Inbox<BusMessage>()
        try channel.subscribe(to: "apus.channel.chat.lobby", on: bus)
        try await serving(service()) {
            let reply = try await send(
                "typing", ["on": true],
                headers: [HeaderName.roles: "staff", HeaderName.traceParent: "00-a", "Other": "x"])
            #expect(reply == .result(["publish": false]))
            let message = try #require(try await channel.wait(for: 1).first)
            #expect(message.payload == Array(#"{"on":true}"#.utf8))
            #expect(
                message.headers == [
                    HeaderName.user: "42", HeaderName.client: "c1", HeaderName.roles: "staff",
                    HeaderName.traceParent: "00-a", HeaderName.exclude: "c1", HeaderName.event: "typing",
                ])
            check(try await send("announce", "all"), .result(["publish": false]))
            let news = try await channel.wait(for: 2)[1]
            #expect(news.headers[HeaderName.event] == "news")
            #expect(news.headers[HeaderName.exclude] == nil)
        }
    }

    @Test("what is broadcast on channels with history is stored, unless the handler says otherwise")
    func history() async throws {
        try await bus.ensureStream(
            .channelHistory(
                ChannelHistory(size: 10, timeToLive: .seconds(60)), namespace: "chat", subjects: .standard))
        try await serving(service()) {
            let live = Inbox<BusMessage>()
            try live.subscribe(to: "apus.live.chat.lobby", on: bus)
            _ = try await send("typing", ["on": true])
            check(try await send("passing", "by"), .result(["publish": false]))
            let seen = try await live.wait(for: 2)
            #expect(seen.map { $0.headers[HeaderName.event] } == ["typing", "passing"])
            #expect(seen.map { $0.headers[HeaderName.sequence] } == ["1", nil])
            #expect(seen.map { $0.headers[HeaderName.exclude] } == ["c1", nil])
            let stored = try await bus.messages(
                in: Subjects.standard.historyStream(namespace: "chat"), subject: nil, after: 0, limit: 10)
            #expect(stored.map { $0.message.headers[HeaderName.exclude] } == ["c1"])
        }
    }

    @Test("who leaves is told to the handler, and nobody waits for an answer")
    func leave() async throws {
        try await serving(service()) {
            _ = try await join()
            try bus.publish(
                BusMessage(
                    subject: "apus.hook.chat.leave",
                    payload: Array(#"{"channel":"chat:lobby","user":"42","client":"c1","reason":"gone"}"#.utf8)))
            #expect(try await heard.wait(for: 2) == ["join 42", "leave 42: gone"])
        }
    }

    @Test("errors reach the client with their codes; what has no code, or is nobody's business, is an internal error")
    func errors() async throws {
        try await serving(service()) {
            check(try await join(user: "banned"), .error(RPCError(403, "you are banned")))
            check(try await send("teapot"), .error(RPCError(418, "I am a teapot")))
            for event in ["odd", "fail"] {
                check(try await send(event), .error(RPCError(500, "internal error")))
            }
            check(try await send("away"), .error(RPCError(503, "not possible at the moment; try again")))
            #expect(try await join() != nil)
        }
    }

    @Test("garbage is answered with 400 and what is too large with 413; then it goes on")
    func garbage() async throws {
        try await serving(service(.init(questionBytes: 1000))) {
            for payload in ["", "{", "[]", "null", "{}", #"{"channel":7}"#, #"{"channel":"room:x"}"#, "\u{0}"] {
                for hook in ["subscribe", "publish", "leave"] {
                    let reply = try await bus.request(
                        BusMessage(subject: "apus.hook.chat.\(hook)", payload: Array(payload.utf8)),
                        timeout: .seconds(30))
                    guard case .error(let error)? = RPCReply(payload: reply.payload) else {
                        Issue.record("\(payload) is answered")
                        continue
                    }
                    #expect(error.code == 400, "\(hook) \(payload)")
                }
            }
            let large = try await send("message", .string(String(repeating: "x", count: 1000)))
            check(large, .error(RPCError(413, "the parameters have more than 1000 bytes")))
            #expect(made.value.load(ordering: .relaxed) == 0)
            check(try await send("echo", 1), .result(["publish": false, "reply": 1]))
        }
    }

    @Test("an answer that takes too long is a temporary error, and holds up nobody else")
    func slow() async throws {
        try await serving(service(.init(answerTime: .seconds(4)))) {
            async let slow = send("wait")
            try await heard.wait(for: 1)
            check(try await send("echo", 1), .result(["publish": false, "reply": 1]))
            clock.advance(by: .seconds(4))
            check(try await slow, .error(RPCError(503, "the service took too long; try again")))
            gate.open()
        }
    }

    @Test("handlers that never end are bounded: further questions are refused until they do")
    func stuck() async throws {
        try await serving(service()) {
            // They ignore that their tasks are cancelled, and so remain in hand after their questions were answered.
            for round in 1...2 {
                try await withThrowingTaskGroup { group in
                    for _ in 0..<MicroService.maximumInHand { group.addTask { try await send("wait") } }
                    try await heard.wait(for: round * MicroService.maximumInHand)
                    clock.advance(by: .seconds(4))
                    for try await reply in group {
                        #expect(reply == .error(RPCError(503, "the service took too long; try again")))
                    }
                }
            }
            check(try await join(), .error(RPCError(503, "too many questions in hand; try again")))
            gate.open()
            while try await join() == .error(RPCError(503, "too many questions in hand; try again")) {
                await Task.yield()
            }
            check(try await send("echo", 1), .result(["publish": false, "reply": 1]))
        }
    }

    @Test("a handler that nobody asks anything is let go, and made anew for the next question")
    func idle() async throws {
        let service = service(.init(idleTime: .seconds(60)))
        try await serving(service) {
            _ = try await join("a")
            clock.advance(by: .seconds(40))
            _ = try await join("b")
            #expect(service.liveHandlers == 2)
            clock.advance(by: .seconds(30))
            #expect(service.liveHandlers == 1)
            check(try await join("b"), .result(["data": ["joined": 2, "data": nil]]))
            check(try await join("a"), .result(["data": ["joined": 1, "data": nil]]))
            clock.advance(by: .seconds(200))
            #expect(service.liveHandlers == 0)
            // The sweep that ended with the last handler begins again with the next.
            _ = try await join("a")
            clock.advance(by: .seconds(200))
            #expect(service.liveHandlers == 0)
        }
    }

    @Test("there are never more handlers than may be, however many channels are asked about")
    func bounded() async throws {
        let service = service(.init(liveHandlers: 5))
        try await serving(service) {
            for number in 0..<50 { #expect(try await join("\(number)") != nil) }
            #expect(service.liveHandlers == 5)
            #expect(service.evictedHandlers == 45)
            // All in use: there is no room, and whoever asks is told to try again.
            async let held = withThrowingTaskGroup { group in
                for number in 0..<5 { group.addTask { try await send("wait", to: "held\(number)") } }
                for try await _ in group {}
            }
            try await heard.wait(for: 55)
            check(try await join("more"), .error(RPCError(503, "too many channels are in use; try again")))
            gate.open()
            try await held
            check(try await join("more"), .result(["data": ["joined": 1, "data": nil]]))
        }
    }

    @Test("a handler that says only who may join refuses all events, and does nothing about who leaves")
    func least() async throws {
        let hall = ChannelHandlerService(
            namespace: "chat", name: "chat", version: "1.0.0", description: "a hall", bus: bus, subjects: .standard,
            logger: Logger(label: "test"), clock: clock
        ) { _ in Hall() }
        try await serving(hall) {
            check(try await join(), .result([:]))
            check(try await send("message"), .error(RPCError(403, "nothing can be sent on this channel")))
            check(try await ask("leave", ["channel": "chat:lobby"]), .result([:]))
        }
    }

    @Test("two processes share the questions, and each has a handler of its own")
    func shared() async throws {
        let (first, second) = (service(), service())
        let both = [first, second].map { service in Task { try await service.methods.run() } }
        while true {
            let answers = try? await bus.request(
                BusMessage(subject: "$SRV.PING.chat.\(second.methods.id)"), timeout: .seconds(5))
            if answers != nil { break }
            await Task.yield()
        }
        for _ in 0..<200 where first.liveHandlers + second.liveHandlers < 2 { _ = try await join() }
        #expect(first.liveHandlers == 1)
        #expect(second.liveHandlers == 1)
        for task in both { task.cancel() }
        for task in both { try await task.value }
    }
}
