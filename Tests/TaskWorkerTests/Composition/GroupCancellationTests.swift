import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// Groups that are cancelled, by a worker that lives and by one that dies of it.
@Suite(.timeLimit(.minutes(3))) struct GroupCancellationTests {
    private let ann = Caller(user: "ann", client: "c1")
    private let quick = TaskDefinition(name: "quick") { _, _ in 1 }
    private let collect = TaskDefinition(name: "collect") { arguments, _ in .object(arguments) }

    /// Runs until it is told to stop.
    private func endless(_ begun: Signal) -> TaskDefinition {
        TaskDefinition(name: "endless") { _, _ in
            begun.send()
            try await Task.sleep(for: .seconds(3600))
            return nil
        }
    }

    /// One task that completes, one that runs, one that waits, and two whose chains are at their second tasks.
    private static let tasks: JSONValue = [
        ["name": "quick"], ["name": "endless"], ["name": "quick", "delay": "1h"],
        ["name": "quick", "chain": [["name": "quick", "delay": "1h"], ["name": "quick"]]],
        ["name": "quick", "chain": [["name": "endless"]]],
    ]
    private static let states: [JSONValue?] = ["completed"] + Array(repeating: "cancelled", count: 4)

    private func code(_ operation: () async throws -> JSONValue) async throws -> Int {
        do {
            _ = try await operation()
            return 200
        } catch let error as RPCError {
            return error.code
        }
    }

    @Test("a cancelled group ends what waits and what runs, chains too, and its callback does not run")
    func cancel() async throws {
        let bench = WorkerBench()
        let begun = Signal()
        try await bench.withWorker([quick, endless(begun), collect], concurrency: 8) { _ in
            let following = try bench.follow()
            let answer = try await bench.call(
                "tasks.group", ["tasks": Self.tasks, "then": ["name": "collect"]], as: ann)
            let group: JSONValue = ["group_id": answer["group_id"] ?? nil]
            await begun.wait(2)
            var completed = 0
            while completed < 3 { if try await following.next().state == .completed { completed += 1 } }
            #expect(
                try await code {
                    try await bench.call("tasks.group.cancel", group, as: Caller(user: "bob", client: "c2"))
                } == 404)
            let cancelled = try await bench.call("tasks.group.cancel", group, as: ann)
            #expect(cancelled["cancelled"] == 4)
            let status = try await bench.call("tasks.group.get", group, as: ann)
            #expect(status["tasks"]?.arrayValue?.map { $0["status"] } == Self.states)
            #expect(status["status"] == "finished" && status["then"] == .null)
            #expect(try await bench.call("tasks.group.cancel", group, as: ann)["cancelled"] == 0)
            try await bench.waitUntilQueueIsEmpty()
            try await expectNoCallback(bench)
            #expect(try await code { try await bench.call("tasks.group.cancel", ["group_id": "g9"]) } == 404)
            #expect(try await code { try await bench.call("tasks.group.cancel", [:]) } == 400)
        }
    }

    @Test("a group whose tasks have all ended is not cancelled any more")
    func finished() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([quick, collect]) { _ in
            let following = try bench.follow()
            let answer = try await bench.call(
                "tasks.group", ["tasks": [["name": "quick"]], "then": ["name": "collect"]])
            try await following.wait { $0.name == "collect" && $0.state == .completed }
            let error = await #expect(throws: RPCError.self) {
                try await bench.call("tasks.group.cancel", ["group_id": answer["group_id"] ?? nil])
            }
            #expect(error?.code == 409 && error?.message.contains(answer["then"]?.stringValue ?? "?") == true)
        }
    }

    @Test("a member that nobody has recorded is cancelled when its turn comes")
    func unrecorded() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([quick, collect]) { _ in
            let following = try bench.follow()
            try await following.wait(for: .completed, of: bench.submit(TaskRequest(name: "quick")))
            _ = try await bench.call("queues.pause", ["queue": "default"])
            while bench.bus.waitingFetches(stream: bench.subjects.tasksStream, consumer: "worker-default") > 0 {
                try await Task.sleep(for: .milliseconds(1))
            }
            let answer = try await bench.call(
                "tasks.group", ["tasks": [["name": "quick"]], "then": ["name": "collect"]])
            let id = try #require(answer["task_ids"]?.arrayValue?.first?.stringValue.flatMap(TaskID.init))
            // As if its submission had been lost between the message and the record.
            try await records(bench).purge("task.=.\(id)")
            let cancelled = try await bench.call("tasks.group.cancel", ["group_id": answer["group_id"] ?? nil])
            #expect(cancelled["cancelled"] == 0)
            _ = try await bench.call("queues.resume", ["queue": "default"])
            let end = try await following.wait { $0.id == id && $0.state.isFinal }
            #expect(end.state == .cancelled && end.message == "cancelled with its group")
            try await bench.waitUntilQueueIsEmpty()
            try await expectNoCallback(bench)
        }
    }

    @Test("a group of many tasks is cancelled page by page, by the call or after it")
    func large() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([quick, collect]) { _ in
            let tasks = JSONValue.array(Array(repeating: ["name": "quick", "delay": "1h"], count: 150))
            let answer = try await bench.call("tasks.group", ["tasks": tasks, "then": ["name": "collect"]])
            var (cancelled, remaining) = (Int64(0), Int64(150))
            while remaining > 0 {
                let reply = try await bench.call("tasks.group.cancel", ["group_id": answer["group_id"] ?? nil])
                cancelled += try #require(reply["cancelled"]?.integerValue)
                remaining = try #require(reply["remaining"]?.integerValue)
            }
            #expect(cancelled == 150)
            #expect(try await bench.queueLength() == 0)
        }
    }

    @Test(
        "whichever call is the last of a worker that cancels a group, another one ends it", .serialized,
        arguments: 1...48, CrashPoint.Moment.allCases)
    func dies(step: Int, moment: CrashPoint.Moment) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let crash = CrashPoint()
        let connection = FaultyBus(bench.bus.anotherConnection(), dyingAt: crash)
        let comment = Comment(rawValue: "the worker dies \(moment.rawValue) call \(step)")
        let (begun, ticking) = (Signal(), Ticking())
        let (group, call) = try await bench.withWorker(
            [quick, endless(begun), collect], on: connection, shutdownTimeout: .zero
        ) {
            _ in
            let following = try bench.follow()
            let answer = try await bench.call("tasks.group", ["tasks": Self.tasks, "then": ["name": "collect"]])
            let group: JSONValue = ["group_id": answer["group_id"] ?? nil]
            await begun.wait(2)
            var completed = 0
            while completed < 3 { if try await following.next().state == .completed { completed += 1 } }
            crash.arm(step, moment)
            // Gets no answer from the dead.
            let call = Task { try? await bench.call("tasks.group.cancel", group) }
            while !crash.hasHappened, try await bench.queueLength() > 0 { try await Task.sleep(for: .milliseconds(1)) }
            // What still runs when the worker is stopped has its time to end.
            ticking.start(clock)
            return (group, call)
        }
        ticking.stop()
        // Later than the stream remembers ids, than any lease, and than a cancel is left to whoever began with it.
        clock.advance(by: .seconds(300))
        _ = await call.value
        let record = try #require(try await records(bench).get("group.\(group["group_id"]?.stringValue ?? "")"))
        let isMarked = try JSONValue(parsing: record.value)["cancelled_at"] != nil
        try await bench.withWorker([quick, endless(begun), collect]) { _ in
            // Whoever had no answer asks again.
            if !isMarked { _ = try await bench.call("tasks.group.cancel", group) }
            var status = try await bench.call("tasks.group.get", group)
            while try await bench.queueLength() > 0 || status["status"] != "finished" {
                for _ in 0..<20 where try await bench.queueLength() > 0 || status["status"] != "finished" {
                    try await Task.sleep(for: .milliseconds(10))
                    status = try await bench.call("tasks.group.get", group)
                }
                // The pause of whoever looks for such groups.
                clock.advance(by: .seconds(10))
            }
            #expect(status["tasks"]?.arrayValue?.map { $0["status"] } == Self.states, comment)
            if isMarked { #expect(begun.count == 2, comment) }
            try await expectNoCallback(bench, comment)
            for task in try await bench.call("tasks.list", [:])["tasks"]?.arrayValue ?? [] {
                let id = try #require(task["task_id"]?.stringValue.flatMap(TaskID.init))
                let seen = try await bench.stored(id.channel)
                seen.expectHonest(comment)
                #expect(seen.count { $0.state.isFinal } == 1, comment)
            }
            #expect(try await bench.deadLetters().isEmpty, comment)
        }
    }

    private func records(_ bench: WorkerBench) async throws -> any KeyValueBucket {
        try await bench.bus.keyValue(
            BucketSpecification(name: bench.subjects.bucket("tasks"), timeToLive: .seconds(7 * 86_400)))
    }

    private func expectNoCallback(_ bench: WorkerBench, _ comment: Comment? = nil) async throws {
        let tasks = try await bench.call("tasks.list", [:])["tasks"]?.arrayValue ?? []
        #expect(!tasks.isEmpty && !tasks.contains { $0["name"] == "collect" }, comment)
    }
}

/// Moves a clock on until it is stopped.
private final class Ticking: Sendable {
    private let task = Mutex<Task<Void, Never>?>(nil)

    func start(_ clock: ManualClock) {
        task.withLock {
            $0 = Task {
                while !Task.isCancelled {
                    clock.advance(by: .seconds(1))
                    try? await Task.sleep(for: .milliseconds(2))
                }
            }
        }
    }

    func stop() { task.withLock { $0?.cancel() } }
}
