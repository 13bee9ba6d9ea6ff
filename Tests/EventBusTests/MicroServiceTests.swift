import EventBus
import Events
import JSON
import Logging
import TestKit
import Testing

@Suite("A micro service", .timeLimit(.minutes(1)))
struct MicroServiceTests {
    let bus = MemoryBus()
    let service: MicroService

    init() {
        service = MicroService(
            name: "sums", version: "1.2.3", description: "adds", bus: bus, subjects: .standard,
            logger: Logger(label: "test"), id: "ID1")
    }

    /// Runs the service while `body` runs.
    private func serving(_ body: () async throws -> Void) async throws {
        let running = Task { try await service.run() }
        try await ready()
        do {
            try await body()
        } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        try await running.value
    }

    /// Waits until the service answers.
    private func ready() async throws {
        while (try? await bus.request(BusMessage(subject: "$SRV.PING.sums"), timeout: .seconds(5))) == nil {
            await Task.yield()
        }
    }

    private func call(_ method: String, _ parameters: JSONValue = [:], as caller: Caller? = nil) async throws
        -> JSONValue
    {
        try await bus.call(method, parameters, subjects: .standard, as: caller)
    }

    private func ask(_ subject: String) async throws -> JSONValue {
        try JSONValue(parsing: try await bus.request(BusMessage(subject: subject), timeout: .seconds(5)).payload)
    }

    @Test("answers calls with results, and says who asks and with which headers")
    func results() async throws {
        service.rpc("sum.of") { request in
            let numbers = request.parameters["numbers"]?.arrayValue?.compactMap(\.integerValue) ?? []
            return [
                "sum": .integer(numbers.reduce(0, +)), "user": .string(request.caller.user ?? ""),
                "trace": .string(request.headers[HeaderName.traceParent] ?? ""), "method": .string(request.method),
            ]
        }
        try await serving {
            let result = try await bus.call(
                "sum.of", ["numbers": [1, 2, 3]], subjects: .standard, as: Caller(user: "42"),
                headers: [HeaderName.traceParent: "00-a"])
            #expect(result == ["sum": 6, "user": "42", "trace": "00-a", "method": "sum.of"])
            let empty = try await bus.request(BusMessage(subject: "apus.rpc.sum.of"), timeout: .seconds(5))
            #expect(
                RPCReply(payload: empty.payload) == .result(["sum": 0, "user": "", "trace": "", "method": "sum.of"]))
        }
    }

    @Test("answers hooks of a namespace")
    func hooks() async throws {
        service.hook(.subscribe, namespace: "task") { request in
            guard request.caller.user == "42" else { throw RPCError(403, "not your task") }
            return [:]
        }
        try await serving {
            var ask = BusMessage(subject: "apus.hook.task.subscribe", payload: Array(#"{"channel":"task:1"}"#.utf8))
            ask.headers[HeaderName.user] = "42"
            #expect(RPCReply(payload: try await bus.request(ask, timeout: .seconds(5)).payload) == .result([:]))
            ask.headers[HeaderName.user] = "43"
            let refusal = try await bus.request(ask, timeout: .seconds(5))
            #expect(RPCReply(payload: refusal.payload) == .error(RPCError(403, "not your task")))
            #expect(refusal.headers["Nats-Service-Error"] == "not your task")
            #expect(refusal.headers["Nats-Service-Error-Code"] == "403")
        }
    }

    @Test("answers bad JSON with 400, an unforeseen error with 500 and without its text, and stays up")
    func errors() async throws {
        struct Secret: Error {}
        service.rpc("fails") { request in
            if request.parameters["kind"] == "rpc" { throw RPCError(409, "somebody was\r\nfaster") }
            throw Secret()
        }
        try await serving {
            for payload in ["{", "nonsense", "\u{FEFF}{}", "[1,]", String(repeating: "[", count: 100_000)] {
                let reply = try await bus.request(
                    BusMessage(subject: "apus.rpc.fails", payload: Array(payload.utf8)), timeout: .seconds(5))
                guard case .error(let error)? = RPCReply(payload: reply.payload) else {
                    Issue.record("no error")
                    continue
                }
                #expect(error.code == 400)
            }
            await #expect(throws: RPCError(500, "internal error")) { try await call("fails") }
            await #expect(throws: RPCError(409, "somebody was\r\nfaster")) { try await call("fails", ["kind": "rpc"]) }
        }
        #expect(service.statistics[0].requests == 7)
        #expect(service.statistics[0].errors == 7)
        #expect(service.statistics[0].lastError?.code == 409)
    }

    @Test("answers with an error when its result is larger than a message")
    func largeResult() async throws {
        service.rpc("large") { _ in .string(String(repeating: "x", count: 2_000_000)) }
        try await serving {
            await #expect(throws: RPCError(500, "the result is larger than a message may be; ask for less")) {
                try await call("large")
            }
        }
    }

    @Test("is listed by PING, INFO and STATS, for all, by name and by id", arguments: ["", ".sums", ".sums.ID1"])
    func description(suffix: String) async throws {
        service.rpc("sum.of") { _ in 1 }
        service.hook(.publish, namespace: "room") { _ in [:] }
        try await serving {
            _ = try await call("sum.of")
            let ping = try await ask("$SRV.PING\(suffix)")
            #expect(
                ping == [
                    "type": "io.nats.micro.v1.ping_response", "name": "sums", "id": "ID1", "version": "1.2.3",
                    "metadata": [:],
                ])
            let info = try await ask("$SRV.INFO\(suffix)")
            #expect(info["type"] == "io.nats.micro.v1.info_response")
            #expect(info["description"] == "adds")
            #expect(
                info["endpoints"] == [
                    [
                        "name": "sum-of", "subject": "apus.rpc.sum.of", "queue_group": "q",
                        "metadata": ["method": "sum.of"],
                    ],
                    [
                        "name": "hook-room-publish", "subject": "apus.hook.room.publish", "queue_group": "q",
                        "metadata": ["method": "hook.room.publish"],
                    ],
                ])
            let stats = try await ask("$SRV.STATS\(suffix)")
            #expect(stats["type"] == "io.nats.micro.v1.stats_response")
            #expect(stats["started"]?.stringValue.flatMap { Timestamp(rfc3339: $0) } != nil)
            let endpoint = stats["endpoints"]?.arrayValue?.first
            #expect(endpoint?["num_requests"] == 1)
            #expect(endpoint?["num_errors"] == 0)
            #expect(endpoint?["last_error"] == "")
            #expect((endpoint?["processing_time"]?.integerValue ?? 0) > 0)
            #expect(endpoint?["average_processing_time"] == endpoint?["processing_time"])
        }
    }

    @Test("shares its calls with the other processes that run it")
    func queueGroup() async throws {
        let other = MicroService(
            name: "sums", version: "1.2.3", description: "adds", bus: bus, subjects: .standard,
            logger: Logger(label: "test"), id: "ID2")
        service.rpc("who") { _ in "ID1" }
        other.rpc("who") { _ in "ID2" }
        let running = Task { try await other.run() }
        while (try? await bus.request(BusMessage(subject: "$SRV.PING.sums.ID2"), timeout: .seconds(5))) == nil {
            await Task.yield()
        }
        try await serving {
            var answers: [String] = []
            for _ in 0..<20 { answers.append(try await call("who").stringValue ?? "") }
            #expect(Set(answers) == ["ID1", "ID2"])
        }
        running.cancel()
        try await running.value
    }

    @Test("refuses calls beyond those it may have in hand, and takes new ones when some are done")
    func overload() async throws {
        let gate = Gate()
        let started = Inbox<Bool>()
        service.rpc("slow") { _ in
            started.append(true)
            await gate.pass()
            return "done"
        }
        try await serving {
            try await withThrowingTaskGroup(of: JSONValue.self) { group in
                for _ in 0..<MicroService.maximumInHand { group.addTask { try await call("slow") } }
                try await started.wait(for: MicroService.maximumInHand)
                await #expect(throws: RPCError(503, "too many calls in hand; try again")) { try await call("slow") }
                gate.open()
                for try await result in group { #expect(result == "done") }
            }
            #expect(try await call("slow") == "done")
        }
        #expect(service.statistics[0].refused == 1)
    }

    @Test("finishes what is in hand when it is told to stop, and takes nothing new")
    func drain() async throws {
        let gate = Gate()
        let started = Inbox<Bool>()
        service.rpc("slow") { _ in
            started.append(true)
            await gate.pass()
            try Task.checkCancellation()
            return "done"
        }
        let running = Task { try await service.run() }
        try await ready()
        let pending = Task { try await call("slow") }
        try await started.wait(for: 1)
        running.cancel()
        // Once it has left the bus, nobody answers any more.
        while (try? await bus.request(BusMessage(subject: "$SRV.PING.sums"), timeout: .seconds(5))) != nil {
            await Task.yield()
        }
        await #expect(throws: BusError(.noResponders, "")) { try await call("slow") }
        gate.open()
        #expect(try await pending.value == "done")
        try await running.value
    }

    @Test("gives up on what is in hand when its time to stop is over")
    func drainTimeout() async throws {
        let clock = ManualClock()
        let service = MicroService(
            name: "slow", version: "1.0.0", description: "", bus: bus, subjects: .standard,
            logger: Logger(label: "test"), drainTimeout: .seconds(10), clock: clock)
        let started = Inbox<Bool>()
        service.rpc("never") { _ in
            started.append(true)
            try await Task.sleep(for: .seconds(86_400))
            return nil
        }
        let running = Task { try await service.run() }
        while (try? await bus.request(BusMessage(subject: "$SRV.PING.slow"), timeout: .seconds(5))) == nil {
            await Task.yield()
        }
        let pending = Task { try await call("never") }
        try await started.wait(for: 1)
        running.cancel()
        await clock.waitForPlans(2)
        clock.advance(by: .seconds(10))
        try await running.value
        await #expect(throws: RPCError(503, "the service is stopping; try again")) { try await pending.value }
    }

    @Test(
        "of a name or version that NATS does not know cannot run",
        arguments: [
            ("", "1.0.0"), ("a.b", "1.0.0"), ("a b", "1.0.0"), ("a", "1"), ("a", "1.0"), ("a", "1.0.x"), ("a", ""),
        ])
    func invalid(name: String, version: String) async {
        let service = MicroService(
            name: name, version: version, description: "", bus: bus, subjects: .standard, logger: Logger(label: "test"))
        await #expect(throws: BusError(.invalidArgument, "")) { try await service.run() }
    }
}

@Suite("An answer to a call")
struct RPCReplyTests {
    @Test(
        "is read from what services in any language write",
        arguments: [
            (#"{"result":5}"#, RPCReply.result(5)), (#"{"result":null}"#, .result(nil)), ("{}", .result(nil)),
            (#"{"error":null,"result":1}"#, .result(1)),
            (#"{"error":{"code":404,"message":"no"}}"#, .error(RPCError(404, "no"))),
            (#"{"error":"bad"}"#, .error(RPCError(500, "the call failed"))),
            (#"{"error":{"code":9e18}}"#, .error(RPCError(9_000_000_000_000_000_000, "the call failed"))),
            (#"{"error":{"code":"x"}}"#, .error(RPCError(500, "the call failed"))),
        ])
    func forms(payload: String, reply: RPCReply) {
        #expect(RPCReply(payload: Array(payload.utf8)) == reply)
    }

    @Test("is nothing else", arguments: ["", "5", "[]", "{", "null", "\u{0}"])
    func invalid(payload: String) { #expect(RPCReply(payload: Array(payload.utf8)) == nil) }
}
