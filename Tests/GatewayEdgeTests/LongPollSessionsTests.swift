import EventBus
import Events
import GatewaySession
import GatewayWire
import Identity
import Logging
import Reactor
import Testing

@testable import GatewayEdge

/// Long-polling sessions of two gateways on a bus in memory.
@Suite(.timeLimit(.minutes(1))) struct LongPollSessionsTests {
    private struct Gateway {
        let node: String
        let hub: Hub
        let nodes: NodeRequests
        let sessions: LongPollSessions
    }

    private let bus = MemoryBus()

    private func gateway(_ node: String, _ reactor: Reactor, _ limits: GatewayLimits) -> Gateway {
        let subjects = Subjects.standard
        let logger = Logger(label: "test")
        let clock = GatewayClock(moment: { Moment(milliseconds: 0) }, time: { SystemBusClock().now })
        let namespaces = NamespaceTable(configured: [
            Namespace(name: "quiet", subscribe: .anyone, publish: .subscriber)
        ])
        let hub = Hub(
            bus: bus, feed: bus, subjects: subjects, namespaces: namespaces, logger: logger, clock: clock.time)
        let environment = ShardEnvironment(
            rules: SessionRules(
                policy: ChannelPolicy(namespaces: namespaces), limits: limits, allowsAnonymous: true,
                pingInterval: .seconds(25), version: "test",
                verify: { _, _ throws(IdentityError) in throw .badSignature }),
            hub: hub,
            backend: ChannelBackend(
                bus: bus, subjects: subjects, namespaces: namespaces, makeMessageID: { "message" }),
            presence: PresenceService(
                node: node, bus: bus, subjects: subjects, logger: logger, clock: clock.moment, onChange: { _ in }),
            users: UserRegistry(limits: limits), metrics: GatewayMetrics(), clock: clock,
            makeClientID: { RandomID(high: 0, low: 1) }, logger: logger)
        let sessions = LongPollSessions(
            shards: ShardGroup(reactors: [reactor], environment: environment), window: .milliseconds(200))
        let nodes = NodeRequests(node: node, bus: bus, subjects: subjects, logger: logger)
        sessions.serve(nodes)
        return Gateway(node: node, hub: hub, nodes: nodes, sessions: sessions)
    }

    private func run(
        limits: GatewayLimits = GatewayLimits(), _ body: (Gateway, Gateway) async throws -> Void
    ) async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let first = gateway("first", reactor, limits)
        let second = gateway("second", reactor, limits)
        try await withThrowingDiscardingTaskGroup { tasks in
            for gateway in [first, second] {
                tasks.addTask { await gateway.hub.run() }
                tasks.addTask { try? await gateway.nodes.run() }
            }
            try await body(first, second)
            tasks.cancelAll()
        }
    }

    private func open(_ gateway: Gateway, token: String? = nil) async -> LongPollSession? {
        await gateway.sessions.open(
            Phoenix<PhoenixArrays>(), .phoenix, node: gateway.node, authorization: token, trace: nil)
    }

    private func carryOut(
        _ request: LongPollRequest, _ session: LongPollSession, at gateway: Gateway
    ) async -> LongPollAnswer {
        await withCheckedContinuation { continuation in
            gateway.sessions.carryOut(request, of: session.token.session) { continuation.resume(returning: $0) }
        }
    }

    /// Through the other gateway, as soon as it listens.
    private func ask(_ request: LongPollRequest, _ session: LongPollSession, by gateway: Gateway) async throws
        -> LongPollAnswer
    {
        while true {
            do {
                let answer = try await gateway.nodes.ask(
                    session.token.node, LongPollSessions.kind, request.json(session: session.token.session),
                    timeout: .seconds(5))
                return try #require(LongPollAnswer(answer))
            } catch let error as BusError where error.code == .noResponders {
                await Task.yield()
            }
        }
    }

    private func text(_ answer: LongPollAnswer) -> [String] {
        answer.messages.map { String(decoding: $0, as: UTF8.self) }
    }

    private let join = Array(#"["1","1","quiet:x","phx_join",{}]"#.utf8)
    private let joined = #"["1","1","quiet:x","phx_reply",{"status":"ok","response":{}}]"#

    @Test("pushes and polls that come to the other gateway reach the session")
    func otherGateway() async throws {
        try await run { first, second in
            let session = try #require(await open(first))
            #expect(try await ask(.push([join]), session, by: second) == .ok)
            var answer = LongPollAnswer.nothing
            while answer == .nothing { answer = try await ask(.poll, session, by: second) }
            #expect(text(answer) == [joined])
            #expect(try await ask(.push([Array("[1]".utf8)]), session, by: second) == .ok)
            // What no client sends has ended it.
            #expect(await carryOut(.poll, session, at: first) == .gone)
            #expect(try await ask(.poll, session, by: second) == .gone)
        }
    }

    @Test("a poll waits for its window; a further one takes its place")
    func window() async throws {
        try await run { first, _ in
            let session = try #require(await open(first))
            #expect(await carryOut(.poll, session, at: first) == .nothing)
            async let earlier = carryOut(.poll, session, at: first)
            async let later = carryOut(.poll, session, at: first)
            #expect(await [earlier, later] == [.nothing, .nothing])
        }
    }

    @Test("whose token is not good gets no session")
    func refused() async throws {
        try await run { first, _ in
            #expect(await open(first, token: "forged") == nil)
        }
    }

    @Test("a session whose client does not poll while messages come ends, and holds no more of them than it may")
    func bounded() async throws {
        var limits = GatewayLimits()
        limits.outboundBytes = 2_000
        try await run(limits: limits) { first, _ in
            let session = try #require(await open(first))
            #expect(await carryOut(.push([join]), session, at: first) == .ok)
            var answer = LongPollAnswer.nothing
            while answer == .nothing { answer = await carryOut(.poll, session, at: first) }
            #expect(text(answer) == [joined])
            let payload = Array(#""\#(String(repeating: "x", count: 500))""#.utf8)
            answer = .ok
            while answer == .ok {
                try bus.publish(BusMessage(subject: "apus.channel.quiet.x", payload: payload))
                #expect(session.outstandingBytes < 4_000)
                answer = await carryOut(.push([]), session, at: first)
            }
            #expect(answer == .gone)
        }
    }
}
