import EventBus
import EventBusNATS
import Events
import Foundation
import JSON
import Logging
import Synchronization
import TestKit
import Testing

@Suite("The built tool on a real NATS server", .timeLimit(.minutes(3)), .enabled(if: NATSServerProcess.canRun))
struct ToolBusTests {
    @Test("what is published is stored, read back from the start, and printed once")
    func publishAndSubscribe() async throws {
        try await withServer { server, _ in
            for number in 1...3 {
                let result = try await server.tool(["publish", "room:lobby", "{\"n\":\(number)}", "--event", "greet"])
                #expect(result.status == 0)
                #expect(result.output == "published on room:lobby\n")
            }
            let all = try await server.tool(["subscribe", "room:lobby", "--from-start", "--count", "3", "--json"])
            #expect(all.status == 0)
            let messages = try all.lines()
            #expect(messages.map { $0["data"]?["n"] } == [1, 2, 3])
            #expect(messages.allSatisfy { $0["event"] == "greet" && $0["channel"] == "room:lobby" })
            #expect(messages.map { $0["offset"] } == [1, 2, 3])
            let last = try await server.tool(["subscribe", "room:lobby", "--last", "1", "--count", "1", "--json"])
            let newest = try last.lines()
            #expect(newest.map { $0["data"]?["n"] } == [3])
        }
    }

    @Test("the same id published twice is stored once")
    func idempotent() async throws {
        try await withServer { server, bus in
            for _ in 1...2 {
                let result = try await server.tool(["publish", "room:lobby", "1", "--id", "once"])
                #expect(result.status == 0)
            }
            let state = try await bus.streamState(Subjects.standard.historyStream(namespace: "room"))
            #expect(state.messages == 1)
        }
    }

    @Test("a live message is seen once, with history and without", arguments: ["room:lobby", "plain"])
    func live(channel: String) async throws {
        try await withServer { server, _ in
            async let subscription = server.tool(["subscribe", channel, "--count", "2", "--json"])
            // The subscriber may not be there yet, so publish until it has what it wants.
            let publisher = Task {
                for number in 1... {
                    try Task.checkCancellation()
                    try await server.tool(["publish", channel, "\(number)"])
                }
            }
            let result = try await subscription
            publisher.cancel()
            _ = await publisher.result
            let numbers = try result.lines().compactMap { $0["data"]?.integerValue }
            #expect(numbers.count == 2)
            #expect(numbers.last == numbers.first.map { $0 + 1 })
        }
    }

    @Test("a reader that goes ends the subscription quietly")
    func brokenPipe() async throws {
        try await withServer { server, _ in
            for number in 1...3 { try await server.tool(["publish", "room:lobby", "\(number)"]) }
            let command =
                "'\(ToolProcess.path)' subscribe room:lobby --from-start --json --nats-url \(server.url) | head -n 1"
            let result = try await ToolProcess.run(["-c", command], program: "/bin/sh")
            #expect(result.status == 0)
            #expect(result.errors == "")
            let messages = try result.lines()
            #expect(messages.map { $0["data"] } == [1])
        }
    }

    @Test("ctrl-C ends a subscription with status 0")
    func interrupted() async throws {
        try await withServer { server, _ in
            // The shell waits for the first line, which says that the tool listens, before it interrupts it.
            let command = """
                '\(ToolProcess.path)' publish room:lobby 1 --nats-url \(server.url) > /dev/null
                mkfifo lines
                '\(ToolProcess.path)' subscribe room:lobby --from-start --nats-url \(server.url) > lines & tool=$!
                read line < lines
                kill -INT $tool; wait $tool
                """
            let result = try await ToolProcess.run(["-c", command], program: "/bin/sh")
            #expect(result.status == 0)
        }
    }

    @Test("an event is stored as a CloudEvent, once for each id")
    func event() async throws {
        try await withServer { server, bus in
            let arguments = ["event", "order.status_changed", #"{"user_id":"42"}"#, "--id", "o-1", "--json"]
            let first = try await server.tool(arguments)
            let reports = try first.lines()
            #expect(reports.first?["duplicate"] == false)
            let second = try await server.tool(arguments)
            let repeats = try second.lines()
            #expect(repeats.first?["duplicate"] == true)
            let stored = try await bus.messages(
                in: Subjects.standard.eventsStream, subject: nil, after: 0, limit: 10)
            #expect(stored.count == 1)
            let message = try #require(stored.first?.message)
            #expect(message.subject == "apus.event.order.status_changed")
            #expect(message.headers["ce-type"] == "order.status_changed")
            #expect(message.headers["ce-id"] == "o-1")
            #expect(String(decoding: message.payload, as: UTF8.self) == #"{"user_id":"42"}"#)
            let incoming = try IncomingEvent(
                headers: message.headers, payload: message.payload, subjectType: "order.status_changed")
            #expect(incoming.id == "o-1")
            #expect(incoming.time != nil)

            // What no service could read is refused here, where its sender sees it.
            for arguments in [["event", "x", "[1]"], ["event", "x", "{}", "--source", "no reference"]] {
                let refused = try await server.tool(arguments)
                #expect(refused.status == 64)
                #expect(refused.errors.contains("must be"), "\(refused.errors)")
            }
        }
    }

    @Test("a message larger than the server takes is refused with the sizes")
    func tooLarge() async throws {
        try await withServer { server, _ in
            let text = "\"" + String(repeating: "x", count: 2 << 20) + "\""
            let result = try await server.tool(["publish", "room:lobby", "-"], input: text)
            #expect(result.status == 1)
            #expect(result.errors.contains("\(text.utf8.count) bytes"))
        }
    }

    @Test("services are listed with what they were asked")
    func services() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { _ in
                let none = try await server.tool(["task", "show", "unknown"])
                #expect(none.status == 1)
                #expect(none.errors == "Error: there is no such task (code 404)\n")
                let result = try await server.tool(["services", "--json"])
                let services = try result.lines()
                let service = try #require(services.first)
                #expect(service["name"] == "apus-worker")
                #expect(service["requests"] == 1)
                #expect(service["errors"] == 1)
                let table = try await server.tool(["services", "--endpoints"])
                #expect(table.output.contains("tasks.submit"))
            }
        }
    }

    @Test("without a worker a task is refused at once, with what to do")
    func noWorker() async throws {
        try await withServer { server, _ in
            let result = try await server.tool(["task", "run", "apus.noop"])
            #expect(result.status == 1)
            #expect(result.errors.contains("start apus-worker"))
        }
    }

    @Test("a task is followed to its end: result on standard output, progress beside it, status 0")
    func taskCompletes() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { seen in
                let result = try await server.tool([
                    "task", "run", "good", "--arg", "n=3", "--arg", "deep.text=a b", "--user", "42",
                ])
                #expect(result.status == 0)
                let results = try result.lines()
                #expect(results == [["n": 3, "deep": ["text": "a b"]]])
                #expect(result.errors.contains("completed"))
                #expect(seen.value.withLock { $0.first?["user"] } == "42")
                let json = try await server.tool(["task", "run", "good", "--json"])
                let steps = try json.lines()
                #expect(steps.last?["status"] == "completed")
            }
        }
    }

    @Test("a failed task exits 1 with its reason")
    func taskFails() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { _ in
                let result = try await server.tool(["task", "run", "bad"])
                #expect(result.status == 1)
                #expect(result.output == "")
                #expect(result.errors.contains("Error: bad failed: no such file"))
            }
        }
    }

    @Test("a detached task prints its id only")
    func taskDetached() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { _ in
                let result = try await server.tool(["task", "run", "good", "--detach"])
                #expect(result.status == 0)
                #expect(TaskID(result.output.trimmed) != nil)
            }
        }
    }

    @Test("ctrl-C asks to cancel the task and exits 130 once it is cancelled")
    func taskCancelled() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { seen in
                let command = """
                    mkfifo lines
                    '\(ToolProcess.path)' task run slow --json --nats-url \(server.url) > lines & tool=$!
                    exec 3< lines
                    read line <&3
                    kill -INT $tool
                    cat <&3
                    wait $tool
                    """
                let result = try await ToolProcess.run(["-c", command], program: "/bin/sh")
                #expect(result.status == 130)
                let steps = try result.lines()
                #expect(steps.last?["status"] == "cancelled")
                #expect(seen.value.withLock { $0.contains { $0["cancelled"] != nil } })
            }
        }
    }

    @Test("a file is passed on by its absolute path, and a missing one is told")
    func taskFile() async throws {
        try await withServer { server, bus in
            try await withWorker(bus) { _ in
                let folder = try TemporaryFolder.make()
                try Data("a\n".utf8).write(to: folder.appendingPathComponent("a.csv"))
                let result = try await server.tool(["task", "run", "good", "--file", "path=a.csv"], in: folder)
                let path = try result.lines().first?["path"]?.stringValue
                #expect(path?.hasPrefix("/") == true)
                #expect(path?.hasSuffix("/a.csv") == true)
                let missing = try await server.tool(["task", "run", "good", "--file", "path=b.csv"], in: folder)
                #expect(missing.status == 1)
                #expect(missing.errors.contains("there is no file"))
            }
        }
    }
}

// MARK: - A server, and a worker of the tests' own

private func withServer(_ body: (NATSServerProcess, any EventBus) async throws -> Void) async throws {
    let server = try await NATSServerProcess.start()
    let bus = try NATSEventBus.connect(
        NATSConfiguration(servers: [server.url]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    do {
        try await body(server, bus)
    } catch {
        await bus.close(timeout: .seconds(1))
        await server.stop()
        throw error
    }
    await bus.close(timeout: .seconds(1))
    await server.stop()
}

/// Answers `tasks.…` as the contract says: the task `good` completes with its arguments, `bad` fails, `slow` runs until it
/// is cancelled.
private func withWorker(
    _ bus: any EventBus, _ body: (Seen) async throws -> Void
) async throws {
    let seen = Seen()
    let statuses = StatusBox()
    let service = MicroService(
        name: "apus-worker", version: "1.0.0", description: "for tests", bus: bus, subjects: .standard,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    @Sendable func report(_ status: TaskStatus) throws {
        statuses.value.withLock { $0[status.id] = status }
        try bus.publish(
            BusMessage(
                subject: Subjects.standard.channel(status.id.channel), headers: [HeaderName.event: TaskStatus.event],
                payload: status.json.serialized()))
    }
    service.rpc("tasks.submit") { request in
        seen.value.withLock { $0.append(request.parameters) }
        var random = SystemRandomNumberGenerator()
        let id = TaskID.generate(at: Timestamp(seconds: 1), using: &random)
        let task = try TaskRequest(json: request.parameters)
        var status = TaskStatus(id: id, name: task.name, state: .processing, progress: 40, attempt: 1, sequence: 2)
        try report(status)
        guard task.name != "slow" else { return ["task_id": .string(id.description)] }
        status.sequence = 3
        status.state = task.name == "bad" ? .failed : .completed
        status.message = task.name == "bad" ? "no such file" : nil
        status.result = task.name == "bad" ? .null : .object(task.arguments)
        try report(status)
        return ["task_id": .string(id.description)]
    }
    service.rpc("tasks.get") { request in
        let id = request.parameters["task_id"]?.stringValue.flatMap(TaskID.init)
        guard let status = id.flatMap({ id in statuses.value.withLock { $0[id] } }) else {
            throw RPCError(404, "there is no such task")
        }
        return status.json
    }
    service.rpc("tasks.cancel") { request in
        let id = request.parameters["task_id"]?.stringValue.flatMap(TaskID.init)
        guard var status = id.flatMap({ id in statuses.value.withLock { $0[id] } }) else {
            throw RPCError(404, "there is no such task")
        }
        seen.value.withLock { $0.append(["cancelled": request.parameters]) }
        status.sequence += 1
        status.state = .cancelled
        try report(status)
        return [:]
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await service.run() }
        defer { group.cancelAll() }
        // It answers this only after all of its methods.
        let ping = BusMessage(subject: "$SRV.PING.apus-worker")
        while (try? await bus.request(ping, timeout: .seconds(1))) == nil {
            try await Task.sleep(for: .milliseconds(5))
        }
        try await body(seen)
    }
}

private final class Seen: Sendable { let value = Mutex<[JSONValue]>([]) }

private final class StatusBox: Sendable { let value = Mutex<[TaskID: TaskStatus]>([:]) }

extension NATSServerProcess {
    /// Runs the tool against this server.
    @discardableResult
    fileprivate func tool(_ arguments: [String], input: String = "", in folder: URL? = nil) async throws -> ToolProcess
    {
        try await ToolProcess.run(arguments + ["--nats-url", url], input: input, in: folder)
    }
}

extension ToolProcess {
    /// The JSON lines of standard output.
    fileprivate func lines() throws -> [JSONValue] {
        try output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
