import EventBus
import Events
import GatewaySession
import GatewayWire
import JSON
import Synchronization
import Testing

/// What the gateway asks of services, and what it makes of their answers.
@Suite(.timeLimit(.minutes(1))) struct ChannelBackendTests {
    private let bus = MemoryBus()
    private let subjects = Subjects.standard
    private let caller = Caller(user: "42", roles: ["staff"], client: "c1")
    private let door: ChannelName

    init() throws { door = try ChannelName("door:front") }

    private func backend(hookTimeout: Duration = .seconds(5), callTimeout: Duration = .seconds(5)) -> ChannelBackend {
        ChannelBackend(
            bus: bus, subjects: subjects,
            namespaces: NamespaceTable(configured: [Namespace(name: "door", subscribe: .hook, publish: .hook)]),
            callTimeout: callTimeout, hookTimeout: hookTimeout, makeMessageID: { "generated" })
    }

    /// Answers every question on `subject` with `answer`, and keeps what was asked.
    private func service(_ subject: String, _ answer: String) throws -> (asked: Asked, any BusSubscription) {
        let asked = Asked()
        let bus = self.bus
        let subscription = try bus.subscribe(subject) { message in
            asked.add(message)
            guard let reply = message.replyTo else { return }
            try? bus.publish(BusMessage(subject: reply, payload: Array(answer.utf8)))
        }
        return (asked, subscription)
    }

    final class Asked: Sendable {
        private let messages = Mutex<[BusMessage]>([])
        func add(_ message: BusMessage) { messages.withLock { $0.append(message) } }
        var all: [BusMessage] { messages.withLock { $0 } }
        var first: JSONValue? { all.first.flatMap { try? JSONValue(parsing: $0.payload) } }
    }

    @Test("a subscribe hook is told who asks and what the client sent, and answers with data and a time")
    func join() async throws {
        let (asked, subscription) = try service(
            subjects.hook(.subscribe, namespace: "door"), #"{"result":{"data":{"latest":[1]},"expires_in":90}}"#)
        defer { subscription.cancel() }
        let trace = TraceContext(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state: "a=b")
        let grant = try await backend().mayJoin(door, caller, data: Array(#"{"key":7}"#.utf8), trace: trace)
        #expect(grant == SubscribeGrant(data: Array(#"{"latest":[1]}"#.utf8), expiresIn: .seconds(90)))
        #expect(
            asked.first == ["channel": "door:front", "user": "42", "client": "c1", "data": ["key": 7]])
        let headers = try #require(asked.all.first).headers
        #expect(headers["Apus-User"] == "42" && headers["Apus-Roles"] == "staff" && headers["Apus-Client"] == "c1")
        #expect(headers["traceparent"] == trace?.parent && headers["tracestate"] == "a=b")
        _ = try await backend().mayJoin(door, caller, isRenewal: true)
        #expect(asked.all.last.flatMap { try? JSONValue(parsing: $0.payload) }?["renewal"] == true)
    }

    @Test("a plain yes is one, with nothing more", arguments: [#"{"result":{}}"#, #"{"result":null}"#])
    func plainYes(answer: String) async throws {
        let (_, subscription) = try service(subjects.hook(.subscribe, namespace: "door"), answer)
        defer { subscription.cancel() }
        #expect(try await backend().mayJoin(door, caller) == SubscribeGrant())
    }

    @Test("a refusal keeps the service's code and words, also beside a result")
    func refusal() async throws {
        let (_, subscription) = try service(
            subjects.hook(.subscribe, namespace: "door"), #"{"error":{"code":403,"message":"closed"},"result":{}}"#)
        defer { subscription.cancel() }
        await #expect(throws: ClientFailure(code: 403, message: "closed")) {
            try await backend().mayJoin(door, caller)
        }
    }

    @Test(
        "an answer that makes no sense admits nobody and is a temporary error",
        arguments: [
            "", "yes", "[]", "{}", #"{"result":false}"#, #"{"result":"ok"}"#, #"{"error":"no"}"#,
            #"{"error":{"code":-1}}"#, #"{"result":{"expires_in":0}}"#, #"{"result":{"expires_in":-5}}"#,
            #"{"result":{"expires_in":"soon"}}"#, #"{"result":{"expires_in":1e300}}"#,
            #"{"result":{"expires_in":9223372036854775807}}"#,
        ])
    func nonsense(answer: String) async throws {
        let (_, subscription) = try service(subjects.hook(.subscribe, namespace: "door"), answer)
        defer { subscription.cancel() }
        await #expect(throws: ClientFailure.self) { try await backend().mayJoin(door, caller) }
        do {
            _ = try await backend().mayJoin(door, caller)
        } catch {
            #expect(error.isTemporary)
        }
    }

    @Test("a hook that is away is a temporary error at once, one that is silent is one when its timeout is over")
    func silence() async throws {
        // Whatever waits longer than it should, waits for longer than this test may take.
        let long = Duration.seconds(3600)
        do {
            _ = try await backend(hookTimeout: long, callTimeout: long).mayJoin(door, caller)
            Issue.record("nobody answered and it was let in")
        } catch {
            #expect(error.isTemporary && error.message.contains("door:"))
        }
        let silent = try bus.subscribe(subjects.hook(.subscribe, namespace: "door")) { _ in }
        defer { silent.cancel() }
        do {
            _ = try await backend(hookTimeout: .milliseconds(50), callTimeout: long).mayJoin(door, caller)
            Issue.record("nobody answered and it was let in")
        } catch {
            #expect(error.isTemporary)
        }
    }

    @Test("a publish hook may replace payload and event, deal with it itself, and answer the sender")
    func publish() async throws {
        let command = PublishCommand(channel: "door:front", payload: Array(#"{"text":"hi"}"#.utf8), event: "said")
        func grant(_ answer: String) async throws -> (PublishGrant, JSONValue?) {
            let (asked, subscription) = try service(subjects.hook(.publish, namespace: "door"), answer)
            defer { subscription.cancel() }
            return (try await backend().mayPublish(command, on: door, caller), asked.first)
        }
        let (same, question) = try await grant(#"{"result":{}}"#)
        #expect(same == PublishGrant(payload: command.payload, event: "said"))
        #expect(
            question == [
                "channel": "door:front", "user": "42", "client": "c1", "event": "said", "data": ["text": "hi"],
            ])
        let (replaced, _) = try await grant(#"{"result":{"data":null,"event":"shouted","publish":true}}"#)
        #expect(replaced == PublishGrant(payload: Array("null".utf8), event: "shouted"))
        let (handled, _) = try await grant(#"{"result":{"publish":false,"reply":{"id":7}}}"#)
        #expect(!handled.isPublished && handled.reply == Array(#"{"id":7}"#.utf8))
        for nonsense in [
            #"{"result":{"event":""}}"#, #"{"result":{"event":7}}"#, #"{"result":{"publish":"no"}}"#,
            #"{"result":{"event":"a\r\nApus-User: 1"}}"#,
        ] {
            await #expect(throws: ClientFailure.self) { try await grant(nonsense) }
        }
    }

    @Test("a publish whose answer was lost is stored once: the same id goes with the second attempt")
    func repeatedAppend() async throws {
        let history = ChannelHistory(size: 10, timeToLive: .seconds(60))
        try await bus.ensureStream(.channelHistory(history, namespace: "room", subjects: subjects))
        let lobby = try ChannelName("room:lobby")
        bus.inject(.answerIsLost, into: .append)
        try await backend().publish(
            Array("1".utf8), on: lobby, by: ClientInfo(client: "c1", user: "42"), caller)
        let stored = try await bus.messages(
            in: subjects.historyStream(namespace: "room"), subject: subjects.channel(lobby), after: 0, limit: 10)
        #expect(stored.count == 1)
    }

    @Test("a client's message ids are its user's own")
    func messageIDs() async throws {
        let history = ChannelHistory(size: 10, timeToLive: .seconds(60))
        try await bus.ensureStream(.channelHistory(history, namespace: "room", subjects: subjects))
        let lobby = try ChannelName("room:lobby")
        for user in ["42", "42", "7"] {
            try await backend().publish(
                Array("1".utf8), event: "said", messageID: "m 1", on: lobby,
                by: ClientInfo(client: "c1", user: user), Caller(user: user, client: "c1"))
        }
        let stored = try await bus.messages(
            in: subjects.historyStream(namespace: "room"), subject: subjects.channel(lobby), after: 0, limit: 10)
        #expect(stored.map { $0.message.headers["Apus-User"] } == ["42", "7"])
        #expect(stored.first?.message.headers["Apus-Event"] == "said")
    }

    @Test("the end of a subscription is told with its reason")
    func leave() async throws {
        let (asked, subscription) = try service(subjects.hook(.leave, namespace: "door"), "")
        defer { subscription.cancel() }
        backend().tellLeft(door, caller, reason: .disconnect)
        try await bus.flush(timeout: .seconds(5))
        #expect(asked.first == ["channel": "door:front", "user": "42", "client": "c1", "reason": "disconnect"])
    }
}
