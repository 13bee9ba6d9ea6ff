import EventBus
import EventBusNATS
import Events
import Foundation
import JSON
import Logging
import Synchronization
import TestKit
import Testing

@Suite(
    "The built tool: tasks, queues and dead letters", .timeLimit(.minutes(3)), .enabled(if: NATSServerProcess.canRun))
struct ToolTaskTests {
    @Test("a task is shown with all that the worker knows, for people and as JSON")
    func show() async throws {
        try await withOffice { office in
            let result = try await office.tool("task", "show", "t1")
            #expect(result.status == 0)
            for text in [
                "status    failed", "attempt   2 of 2", "worker    w-1", "args      {\"n\": 3}", "attempt 1",
                "first error", "second error",
            ] { #expect(result.output.contains(text), "\(text) in \(result.output)") }
            let json = try await office.tool("task", "show", "t1", "--json")
            #expect(try JSONValue(parsing: json.output)["errors"]?.arrayValue?.count == 2)
            let unknown = try await office.tool("task", "show", "t9")
            #expect(unknown.status == 1 && unknown.errors == "Error: there is no task t9 (code 404)\n")
        }
    }

    @Test("a task is replayed as a new one, whose id is printed, and which can be followed to its end")
    func replay() async throws {
        try await withOffice { office in
            let plain = try await office.tool("task", "replay", "t1")
            #expect(plain.status == 0 && plain.output == "t2\n")
            let json = try await office.tool("task", "replay", "t1", "--json")
            #expect(json.output == "{\"task_id\":\"t2\"}\n")
            let followed = try await office.tool("task", "replay", "t1", "--follow")
            #expect(followed.status == 0 && followed.output == "42\n", "\(followed.errors)")
            let unknown = try await office.tool("task", "replay", "t9")
            #expect(unknown.status == 1 && unknown.errors.contains("there is no task t9"))
            let running = try await office.tool("task", "replay", "t3")
            #expect(running.status == 1 && running.errors.contains("still processing"))
        }
    }

    @Test("what becomes of tasks is printed as it happens; with an id it ends with the task")
    func tail() async throws {
        try await withOffice { office in
            async let all = office.tool("task", "tail", "--json", "--count", "2", "--user", "42")
            // The tool may not listen yet, so tell until it has what it wants.
            let teller = Task {
                for number in 1... {
                    try Task.checkCancellation()
                    for user in ["7", "42"] {
                        try office.report(
                            TaskStatus(
                                id: TaskID("u\(user)-\(number)")!, name: "report", state: .started, progress: 0,
                                attempt: 1,
                                sequence: 1, user: user))
                    }
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            let lines = try await all.output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
            teller.cancel()
            _ = await teller.result
            #expect(lines.count == 2)
            #expect(lines.allSatisfy { $0["user"] == "42" && $0["status"] == "started" })
            let ended = try await office.tool("task", "tail", "t1")
            #expect(ended.status == 0)
            #expect(ended.output.contains("failed: second error"), "\(ended.output)")
            let unknown = try await office.tool("task", "tail", "t9")
            #expect(unknown.status == 1 && unknown.errors.contains("there is no task t9"))
        }
    }

    @Test("queues are listed, paused and resumed; a misspelled one is not, and gets the one that was meant")
    func queues() async throws {
        try await withOffice { office in
            let list = try await office.tool("queue", "list")
            #expect(list.status == 0 && list.output.contains("reports        3"), "\(list.output)")
            let json = try await office.tool("queue", "list", "--json")
            #expect(json.output.split(separator: "\n").count == 2)
            let paused = try await office.tool("queue", "pause", "reports")
            #expect(paused.status == 0 && paused.output == "queue reports is paused\n")
            #expect(try await office.tool("queue", "list").output.contains("paused"))
            let resumed = try await office.tool("queue", "resume", "reports")
            #expect(resumed.output == "queue reports goes on\n")
            #expect(office.calls == ["queues.pause reports", "queues.resume reports"])
            let typo = try await office.tool("queue", "pause", "report")
            #expect(typo.status == 1)
            #expect(typo.errors == "Error: there is no queue report: did you mean reports?\n")
            let other = try await office.tool("queue", "pause", "something")
            #expect(other.errors == "Error: there is no queue something: there are default, reports\n")
            #expect(office.calls.count == 2)
        }
    }

    @Test("a purge is confirmed: where nobody can be asked it needs --yes")
    func purge() async throws {
        try await withOffice { office in
            for command in [["queue", "purge", "reports"], ["dead", "purge"]] {
                let refused = try await office.tool(command)
                #expect(refused.status == 64 && refused.errors.contains("--yes"), "\(refused.errors)")
            }
            #expect(office.calls.isEmpty)
            let purged = try await office.tool("queue", "purge", "reports", "--yes")
            #expect(purged.output == "1003 tasks of queue reports will not run\n")
            let dead = try await office.tool("dead", "purge", "--yes")
            #expect(dead.output == "5 thrown away\n")
        }
    }

    @Test("dead letters are listed page by page, shown, and replayed one by one or all")
    func deadLetters() async throws {
        try await withOffice { office in
            let list = try await office.tool("dead", "list", "--json")
            let sequences = try list.output.split(separator: "\n")
                .map { try JSONValue(parsing: String($0))["sequence"]?.integerValue }
            #expect(sequences == [15, 14, 13, 12, 11])
            let named = try await office.tool("dead", "list", "--name", "report", "--limit", "2")
            #expect(named.output.contains("no luck 15") && !named.output.contains("no luck 13"), "\(named.output)")
            let shown = try await office.tool("dead", "show", "12")
            #expect(shown.status == 0)
            for text in ["reason    no luck 12", "payload   {\"args\": {}}", "attempt 1", "first error"] {
                #expect(shown.output.contains(text), "\(text) in \(shown.output)")
            }
            let unknown = try await office.tool("dead", "show", "99")
            #expect(unknown.status == 1 && unknown.errors == "Error: there is no dead letter 99 (code 404)\n")
            let some = try await office.tool("dead", "replay", "12", "99", "13")
            #expect(some.status == 1 && some.output == "r12\nr13\n", "\(some.output)")
            #expect(some.errors.contains("99: there is no dead letter 99"))
            let all = try await office.tool("dead", "replay", "--all")
            #expect(all.status == 0 && all.output == "r11\nr12\nr13\nr14\nr15\n", "\(all.output)")
        }
    }

    @Test("a group is shown with its tasks, and cancelled")
    func groups() async throws {
        try await withOffice { office in
            let shown = try await office.tool("group", "show", "g1")
            #expect(shown.status == 0)
            for text in [
                "status    unfinished", "tasks     3, 1 completed, 1 failed", "then      c1", "m2    unfinished",
            ] {
                #expect(shown.output.contains(text), "\(text) in \(shown.output)")
            }
            let cancelled = try await office.tool("group", "cancel", "g1")
            #expect(cancelled.status == 0 && cancelled.output == "1 task of the group cancelled\n")
            #expect(try await office.tool("group", "show", "g1").output.contains("status    cancelled"))
            let json = try await office.tool("group", "cancel", "g1", "--json")
            #expect(json.output == "{\"group_id\":\"g1\",\"cancelled\":1}\n")
            let unknown = try await office.tool("group", "cancel", "g9")
            #expect(unknown.status == 1 && unknown.errors == "Error: there is no group g9 (code 404)\n")
            let wrong = try await office.tool("group", "show", "a b")
            #expect(wrong.status == 64 && wrong.errors.contains("is no group's id"))
        }
    }

    @Test("without a worker each of them says what to start")
    func noWorker() async throws {
        let server = try await NATSServerProcess.start()
        for command in [
            ["task", "replay", "t1"], ["task", "show", "t1"], ["queue", "list"], ["queue", "pause", "default"],
            ["dead", "list"], ["dead", "replay", "1"], ["group", "cancel", "g1"],
        ] {
            let result = try await ToolProcess.run(command + ["--nats-url", server.url])
            #expect(result.status == 1 && result.errors.contains("start apus-worker"), "\(command): \(result.errors)")
        }
        await server.stop()
    }
}

/// A server, and somebody on it who answers for a worker: `t1` has failed and is replayed as `t2`, which completes; `t3` is
/// still running; two queues; dead letters 11 to 15.
private final class Office: Sendable {
    let server: NATSServerProcess
    let bus: any EventBus
    private let state = Mutex<(calls: [String], paused: Set<String>)>(([], []))

    init(server: NATSServerProcess, bus: any EventBus) {
        self.server = server
        self.bus = bus
    }

    var calls: [String] { state.withLock { $0.calls } }

    func tool(_ arguments: String...) async throws -> ToolProcess { try await tool(arguments) }

    func tool(_ arguments: [String]) async throws -> ToolProcess {
        try await ToolProcess.run(arguments + ["--nats-url", server.url])
    }

    func report(_ status: TaskStatus) throws {
        try bus.publish(
            BusMessage(subject: Subjects.standard.channel(status.id.channel), payload: status.json.serialized()))
    }

    func service() -> MicroService {
        let service = MicroService(
            name: "apus-worker", version: "1.0.0", description: "for tests", bus: bus, subjects: .standard,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        service.rpc("tasks.get") { try Office.task($0).json }
        service.rpc("tasks.show") { request in
            guard case .object(var members) = try Office.task(request).json else { return nil }
            members["worker"] = "w-1"
            members["args"] = ["n": 3]
            members["errors"] = Office.errors
            return .object(members)
        }
        service.rpc("tasks.replay") { request in
            let task = try Office.task(request)
            guard task.state.isFinal else { throw RPCError(409, "the task is still \(task.state.rawValue)") }
            return ["task_id": "t2"]
        }
        service.rpc("tasks.group.get") { [self] request in
            guard request.parameters["group_id"] == "g1" else { throw RPCError(404, "there is no group g9") }
            let isCancelled = calls.contains("tasks.group.cancel")
            return [
                "group_id": "g1", "total": 3, "completed": 1, "failed": 1, "cancelled": 0, "status": "unfinished",
                "created_at": "2026-01-01T00:00:00Z", "finished_at": nil, "then": "c1",
                "cancelled_at": isCancelled ? "2026-01-01T00:00:01Z" : nil,
                "tasks": [
                    ["task_id": "m0", "status": "completed"], ["task_id": "m1", "status": "failed"],
                    ["task_id": "m2", "status": "unfinished"],
                ],
            ]
        }
        service.rpc("tasks.group.cancel") { [self] request in
            guard request.parameters["group_id"] == "g1" else { throw RPCError(404, "there is no group g9") }
            state.withLock { $0.calls.append("tasks.group.cancel") }
            return ["group_id": "g1", "cancelled": 1]
        }
        service.rpc("queues.list") { [self] _ in
            let paused = state.withLock { $0.paused }
            return [
                "queues": .array(
                    ["reports", "default"].map { name in
                        ["name": .string(name), "depth": 3, "running": 1, "paused": .bool(paused.contains(name))]
                    })
            ]
        }
        for method in ["queues.pause", "queues.resume", "queues.purge"] {
            service.rpc(method) { [self] request in
                let queue = request.parameters["queue"]?.stringValue ?? ""
                state.withLock { state in
                    state.calls.append("\(method) \(queue)")
                    if method == "queues.pause" { state.paused.insert(queue) } else { state.paused.remove(queue) }
                }
                // A thousand at once, and then the rest.
                return calls.count == 1 ? ["purged": 1000, "remaining": 3] : ["purged": 3, "remaining": 0]
            }
        }
        service.rpc("dead.list") { try Office.letters($0.parameters) }
        service.rpc("dead.show") { request in
            guard case .object(var members) = try Office.letter(request) else { return nil }
            members["errors"] = Office.errors
            members["payload"] = ["args": [:]]
            return .object(members)
        }
        service.rpc("dead.replay") { request in
            let letter = try Office.letter(request)
            return ["task_id": .string("r\(letter["sequence"]?.integerValue ?? 0)")]
        }
        service.rpc("dead.purge") { [self] _ in
            state.withLock { $0.calls.append("dead.purge") }
            return ["purged": 5]
        }
        return service
    }

    private static let errors: JSONValue = [
        ["attempt": 1, "message": "first error", "at": "2026-01-01T00:00:00Z"],
        ["attempt": 2, "message": "second error", "at": "2026-01-01T00:00:09Z"],
    ]

    private static func task(_ request: RPCRequest) throws -> TaskStatus {
        let text = request.parameters["task_id"]?.stringValue ?? ""
        guard let id = TaskID(text), ["t1", "t2", "t3"].contains(text) else {
            throw RPCError(404, "there is no task \(text)")
        }
        return switch text {
        case "t1":
            TaskStatus(
                id: id, name: "report", state: .failed, progress: 40, attempt: 2, sequence: 5, message: "second error",
                maximumAttempts: 2)
        case "t2":
            TaskStatus(id: id, name: "report", state: .completed, progress: 100, attempt: 1, sequence: 3, result: 42)
        default: TaskStatus(id: id, name: "report", state: .processing, progress: 40, attempt: 1, sequence: 2)
        }
    }

    private static func letter(_ sequence: Int64) -> JSONValue {
        [
            "sequence": .integer(sequence), "task_id": .string("d\(sequence)"), "name": "report",
            "reason": .string("no luck \(sequence)"), "attempts": 2, "at": "2026-01-01T00:00:00Z",
        ]
    }

    private static func letter(_ request: RPCRequest) throws -> JSONValue {
        let sequence = request.parameters["sequence"]?.integerValue ?? 0
        guard (11...15).contains(sequence) else { throw RPCError(404, "there is no dead letter \(sequence)") }
        return letter(sequence)
    }

    /// At most two at once, whatever is asked for.
    private static func letters(_ parameters: JSONValue) throws -> JSONValue {
        let before = parameters["before"]?.integerValue ?? 16
        let limit = min(2, parameters["limit"]?.integerValue ?? 2)
        let page = stride(from: before - 1, through: max(11, before - limit), by: -1).map { $0 }
        let isLast = page.last.map { $0 <= 11 } ?? true
        return [
            "letters": .array(page.map { letter($0) }), "next": isLast ? nil : .integer(page[page.count - 1]),
        ]
    }
}

private func withOffice(_ body: (Office) async throws -> Void) async throws {
    let server = try await NATSServerProcess.start()
    let bus = try NATSEventBus.connect(
        NATSConfiguration(servers: [server.url]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let office = Office(server: server, bus: bus)
    let service = office.service()
    do {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            defer { group.cancelAll() }
            // It answers this only after all of its methods.
            let ping = BusMessage(subject: "$SRV.PING.apus-worker")
            while (try? await bus.request(ping, timeout: .seconds(1))) == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await body(office)
        }
    } catch {
        await bus.close(timeout: .seconds(1))
        await server.stop()
        throw error
    }
    await bus.close(timeout: .seconds(1))
    await server.stop()
}
