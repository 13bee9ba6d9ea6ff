import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// Chains, groups and unique tasks on a bus in memory.
@Suite(.timeLimit(.minutes(2))) struct CompositionTests {
    private let ann = Caller(user: "ann", client: "c1")
    private let bob = Caller(user: "bob", client: "c2")
    private let add = TaskDefinition(name: "add") { arguments, _ in
        .integer((arguments["previous"]?.integerValue ?? 0) + (arguments["n"]?.integerValue ?? 0))
    }
    private let failing = TaskDefinition(name: "failing", maximumAttempts: 1) { _, _ in throw TaskFailure("no") }
    private let collect = TaskDefinition(name: "collect") { arguments, _ in .object(arguments) }

    private func code(_ operation: () async throws -> JSONValue) async throws -> Int {
        do {
            _ = try await operation()
            return 200
        } catch let error as RPCError {
            return error.code
        }
    }

    private func ids(_ answer: JSONValue) -> [TaskID] {
        (answer["task_ids"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(TaskID.init) }
    }

    // MARK: Chains

    @Test("a chain runs one task after the other, each with the result of the one before")
    func chain() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([add, collect]) { _ in
            let following = try bench.follow("user.ann")
            let chain: JSONValue = [
                ["name": "add", "args": ["n": 2]], ["name": "add", "args": ["n": 3]],
                ["name": "collect", "previous": "sum"],
            ]
            let answer = try await bench.call(
                "tasks.submit", ["name": "add", "args": ["n": 1], "chain": chain], as: ann)
            let first = try #require(answer["task_id"]?.stringValue.flatMap(TaskID.init))
            let last = try await following.wait { $0.name == "collect" && $0.state == .completed }
            #expect(last.result == ["sum": 6])
            #expect(last.user == "ann")
            let completed = following.seen.filter { $0.state == .completed }
            #expect(completed.map(\.result) == [1, 3, 6, ["sum": 6]])
            let shown = try await bench.call("tasks.show", ["task_id": .string(completed[1].id.description)], as: ann)
            #expect(shown["follows"] == .string(first.description))
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test("a chain stops where a task fails, and goes on from there when that one is repeated")
    func chainFails() async throws {
        let bench = WorkerBench()
        let following = try bench.follow()
        let broken = try await bench.withWorker([add, failing]) { _ in
            _ = try await bench.call(
                "tasks.submit", ["name": "add", "args": ["n": 1], "chain": [["name": "failing"], ["name": "add"]]])
            let broken = try await following.wait { $0.name == "failing" && $0.state == .failed }
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.call("tasks.list", [:])["tasks"]?.arrayValue?.count == 2)
            return broken.id
        }
        let mended = TaskDefinition(name: "failing") { arguments, _ in arguments["previous"] ?? nil }
        try await bench.withWorker([add, mended]) { _ in
            _ = try await bench.call("tasks.retry", ["task_id": .string(broken.description)])
            let last = try await following.wait { $0.name == "add" && $0.state == .completed }
            #expect(last.result == 1)
        }
    }

    @Test("a result too long for the next task's message fails that task with what to do, and the queue goes on")
    func tooLong() async throws {
        let bench = WorkerBench()
        let large = TaskDefinition(name: "large") { _, _ in .string(String(repeating: "x", count: 500_000)) }
        try await bench.withWorker([large, add, collect]) { _ in
            let following = try bench.follow()
            let filler = JSONValue.string(String(repeating: "y", count: 600_000))
            let chain: JSONValue = [["name": "add", "args": ["filler": filler]]]
            let group = try await bench.call(
                "tasks.group", ["tasks": [["name": "large", "chain": chain]], "then": ["name": "collect"]])
            let end = try await following.wait { $0.name == "add" && $0.state.isFinal }
            #expect(end.state == .failed)
            #expect(end.message?.contains("larger than a message") == true)
            try await following.wait { $0.name == "collect" && $0.state == .completed }
            #expect(try await bench.deadLetters().count == 1)
            let status = try await bench.call("tasks.group.get", ["group_id": group["group_id"] ?? nil])
            #expect(status["status"] == "finished")
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    // MARK: Groups

    @Test("a group's callback runs once when all have ended, with the results and how they ended")
    func group() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([add, failing, collect]) { _ in
            let following = try bench.follow()
            let tasks: JSONValue = [
                ["name": "add", "args": ["n": 1]], ["name": "failing"],
                ["name": "add", "args": ["n": 2], "chain": [["name": "add", "args": ["n": 40]]]],
            ]
            let answer = try await bench.call("tasks.group", ["tasks": tasks, "then": ["name": "collect"]], as: ann)
            #expect(ids(answer).count == 3)
            let end = try await following.wait { $0.name == "collect" && $0.state == .completed }
            #expect(end.result["previous"] == [1, nil, 42])
            #expect(end.result["group"]?["failed"] == 1)
            #expect(end.user == "ann")
            #expect(answer["then"] == .string(end.id.description))
            let group: JSONValue = ["group_id": answer["group_id"] ?? nil]
            let status = try await bench.call("tasks.group.get", group, as: ann)
            #expect(status["status"] == "finished")
            #expect(status["tasks"]?.arrayValue?.map { $0["status"] } == ["completed", "failed", "completed"])
            #expect(try await code { try await bench.call("tasks.group.get", group, as: bob) } == 404)
            // A member that is repeated is no member of the group any more.
            _ = try await bench.call("tasks.retry", ["task_id": .string(ids(answer)[0].description)], as: ann)
            try await bench.waitUntilQueueIsEmpty()
            #expect(following.seen.count { $0.name == "collect" && $0.state == .started } == 1)
        }
    }

    @Test("what is no group is refused with what is wrong")
    func badGroups() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([add]) { _ in
            let bad: [JSONValue] = [
                [:], ["tasks": []], ["tasks": [5]], ["tasks": [["name": "a b"]]],
                ["tasks": [["name": "x", "id": "i"]]],
                ["tasks": [["name": "x"]], "then": 5], ["tasks": [["name": "x"]], "id": "mine"],
                ["tasks": [["name": "x", "user": "ann"], ["name": "x", "user": "bob"]]],
            ]
            for parameters in bad {
                #expect(try await code { try await bench.call("tasks.group", parameters, as: ann) } == 400)
            }
            for parameters in [
                ["tasks": [["name": "x", "user": "bob"]]],
                ["tasks": [["name": "x"]], "then": ["name": "y", "user": "bob"]],
            ] as [JSONValue] {
                #expect(try await code { try await bench.call("tasks.group", parameters, as: ann) } == 403)
            }
            #expect(try await code { try await bench.call("tasks.group.get", ["group_id": "nobody"]) } == 404)
            let length = try await bench.queueLength()
            #expect(length == 0)
        }
    }

    @Test("cancelling a delayed member ends it for the group")
    func cancelledMember() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([add, collect]) { _ in
            let following = try bench.follow()
            let tasks: JSONValue = [["name": "add"], ["name": "add", "delay": "1h"]]
            let answer = try await bench.call("tasks.group", ["tasks": tasks, "then": ["name": "collect"]])
            try await following.wait(for: .completed, of: ids(answer)[0])
            _ = try await bench.call("tasks.cancel", ["task_id": .string(ids(answer)[1].description)])
            let end = try await following.wait { $0.name == "collect" && $0.state == .completed }
            #expect(end.result["group"]?["cancelled"] == 1)
        }
    }

    @Test("a group that a killed worker left half formed is formed by another, and the same call again changes nothing")
    func halfFormed() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let connection = bench.bus.anotherConnection()
        let following = try bench.follow()
        let parameters: JSONValue = [
            "id": "g1", "tasks": .array((0..<20).map { ["name": "add", "args": ["n": .integer(Int64($0))]] }),
            "then": ["name": "collect"],
        ]
        try await bench.withWorker([add, collect], on: connection) { _ in
            connection.inject(.fails(BusError(.timeout, "no answer came in time")), into: .append)
            #expect(try await code { try await bench.call("tasks.group", parameters) } == 503)
            let id: JSONValue = ["group_id": "g1"]
            while try await bench.call("tasks.group.get", id)["status"] != "finished" {
                // The pause of whoever looks for such groups.
                clock.advance(by: .seconds(1))
                try await Task.sleep(for: .milliseconds(20))
            }
            let answer = try await bench.call("tasks.group", parameters)
            #expect(ids(answer).count == 20)
            let end = try await following.wait { $0.name == "collect" && $0.state == .completed }
            #expect(end.result["previous"] == .array((0..<20).map { .integer(Int64($0)) }))
            try await bench.waitUntilQueueIsEmpty()
            #expect(following.seen.count { $0.name == "add" && $0.state == .completed } == 20)
        }
    }

    // MARK: Unique tasks

    @Test("while a task with a key is unfinished another is refused or answered with it, per user")
    func unique() async throws {
        let bench = WorkerBench()
        let (begun, release) = (Signal(), Signal())
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            begun.send()
            await release.wait()
            return nil
        }
        try await bench.withWorker([blocking]) { _ in
            let following = try bench.follow()
            let request: JSONValue = ["name": "blocking", "unique": "report/7 é"]
            let first = try await bench.call("tasks.submit", request, as: ann)
            do {
                _ = try await bench.call("tasks.submit", request, as: ann)
                Issue.record("a second task of the key was taken")
            } catch let error as RPCError {
                #expect(error.code == 409)
                #expect(error.message.contains(first["task_id"]?.stringValue ?? "?"))
            }
            let same = try await bench.call(
                "tasks.submit", ["name": "blocking", "unique": "report/7 é", "unique_policy": "return"], as: ann)
            #expect(same["task_id"] == first["task_id"])
            #expect(same["existing"] == true)
            // Somebody else's key, and another key.
            #expect(try await code { try await bench.call("tasks.submit", request, as: bob) } == 200)
            #expect(
                try await code { try await bench.call("tasks.submit", ["name": "blocking", "unique": "x"], as: ann) }
                    == 200)
            await begun.wait(3)
            release.send()
            try await following.wait { $0.id.description == first["task_id"]?.stringValue && $0.state == .completed }
            #expect(try await code { try await bench.call("tasks.submit", request, as: ann) } == 200)
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test("tasks with one key that are published past the worker never run together, and one runs at least")
    func uniquePublished() async throws {
        let bench = WorkerBench()
        let release = Signal()
        let running = Signal()
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            running.send()
            await release.wait()
            return nil
        }
        try await bench.withWorker([blocking], concurrency: 6) { _ in
            let following = try bench.follow()
            for index in 0..<6 {
                try await bench.bus.append(
                    BusMessage(
                        subject: "apus.task.default.blocking", payload: Array(#"{"id":"u\#(index)","unique":"k"}"#.utf8)
                    ))
            }
            var cancelled = 0
            while cancelled < 5 {
                let status = try await following.wait { $0.state == .cancelled }
                #expect(status.message?.contains("unique key") == true)
                cancelled += 1
            }
            await running.wait()
            #expect(running.count == 1)
            release.send()
            try await following.wait { $0.state == .completed }
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.deadLetters().isEmpty)
        }
    }

    // MARK: Faults

    @Test(
        "whatever call to the bus fails or loses its answer, each task of chains and groups runs once and the callback once",
        arguments: 0..<16)
    func faults(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let bench = WorkerBench(lease: .seconds(1))
        let connection = bench.bus.anotherConnection()
        let operations: [MemoryBusOperation] = [.append, .read, .answer, .keyValueRead, .keyValueWrite]
        let plan = (0..<40).map { _ in
            (
                operations[Int.random(in: 0..<operations.count, using: &random)],
                Bool.random(using: &random)
                    ? MemoryBusFault.answerIsLost : .fails(BusError(.timeout, "no answer came in time"))
            )
        }
        let runs = Signal()
        let faulty = TaskDefinition(name: "add", maximumAttempts: 50) { arguments, _ in
            runs.send()
            let at = runs.count * 4
            for (operation, fault) in plan[min(at, 36)..<min(at + 4, 40)] { connection.inject(fault, into: operation) }
            return .integer((arguments["previous"]?.integerValue ?? 0) + 1)
        }
        try await bench.withWorker([faulty, collect], on: connection, concurrency: 3) { _ in
            let following = try bench.follow()
            let member: JSONValue = ["name": "add", "chain": [["name": "add"]]]
            let answer = try await bench.call(
                "tasks.group", ["tasks": [member, member, member, member], "then": ["name": "collect"]])
            let then = try #require(answer["then"]?.stringValue.flatMap(TaskID.init))
            let end = try await following.wait { $0.id == then && $0.state.isFinal }
            #expect(end.result["previous"] == [2, 2, 2, 2], "seed \(seed)")
            try await bench.waitUntilQueueIsEmpty()
            let tasks = try await bench.patiently("tasks.list", [:])["tasks"]?.arrayValue ?? []
            #expect(tasks.count == 9, "seed \(seed)")
            #expect(tasks.allSatisfy { $0["status"] == "completed" }, "seed \(seed)")
            for task in tasks {
                let id = try #require(task["task_id"]?.stringValue.flatMap(TaskID.init))
                let seen = try await bench.stored(id.channel)
                seen.expectHonest("seed \(seed)")
                #expect(seen.count { $0.state.isFinal } == 1, "seed \(seed)")
            }
        }
    }
}
