import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct QueueCallsTests {
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    /// Runs until `gate` is opened.
    private func blocking(_ gate: Gate) -> TaskDefinition {
        TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
    }

    private func figures(_ queue: String, _ bench: WorkerBench) async throws -> JSONValue? {
        let list = try #require(try await bench.call("queues.list", [:])["queues"]?.arrayValue)
        return list.first { $0["name"]?.stringValue == queue }
    }

    @Test("the list of queues tells what waits, runs and is delayed, also of one that nobody serves")
    func list() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let gate = Gate()
        try await bench.withWorker([blocking(gate), noop], concurrency: 1) { _ in
            let following = try bench.follow()
            #expect(try await figures("default", bench)?["depth"] == 0)
            let later = try await bench.submit(TaskRequest(name: "apus.noop", delay: .seconds(5)))
            // The consumer is made in the first moments of the worker.
            func unacknowledged() async -> Int {
                let state = try? await bench.bus.consumerState("worker-default", of: bench.subjects.tasksStream)
                return state?.unacknowledged ?? 0
            }
            while await unacknowledged() == 0 { try await Task.sleep(for: .milliseconds(1)) }
            let running = try await bench.submit(TaskRequest(name: "blocking"))
            try await following.wait(for: .started, of: running)
            // It is told a moment before it counts as running.
            while try await figures("default", bench)?["running"] != 1 { try await Task.sleep(for: .milliseconds(1)) }
            for _ in 1...2 { _ = try await bench.submit(TaskRequest(name: "apus.noop")) }
            _ = try await bench.submit(TaskRequest(name: "apus.noop", queue: "reports"))
            clock.advance(by: .seconds(3))
            #expect(
                try await figures("default", bench) == [
                    "name": "default", "depth": 2, "oldest_age_seconds": 3.0, "running": 1, "delayed": 1,
                    "paused": false, "limit": nil,
                ])
            #expect(
                try await figures("reports", bench) == [
                    "name": "reports", "depth": 1, "oldest_age_seconds": 3.0, "running": 0, "delayed": 0,
                    "paused": false, "limit": nil,
                ])
            gate.open()
            clock.advance(by: .seconds(3))
            try await following.wait(for: .completed, of: later)
        }
    }

    @Test("a paused queue begins nothing, whichever worker serves it, until it is resumed")
    func pause() async throws {
        let bench = WorkerBench()
        let following = try bench.follow()
        let id = try #require(TaskID("waits"))
        try await bench.withWorker([noop]) { _ in
            try await following.wait(for: .completed, of: bench.submit(TaskRequest(name: "apus.noop")))
            let paused = try await bench.call("queues.pause", ["queue": "default"])
            #expect(paused["paused"] == true)
            #expect(try await figures("default", bench)?["paused"] == true)
            while bench.bus.waitingFetches(stream: bench.subjects.tasksStream, consumer: "worker-default") > 0 {
                try await Task.sleep(for: .milliseconds(1))
            }
            _ = try await bench.submit(TaskRequest(id: id, name: "apus.noop"))
        }
        try await bench.withWorker([noop]) { _ in
            #expect(try await bench.status(id).state == .queued)
            #expect(try await figures("default", bench)?["depth"] == 1)
            _ = try await bench.call("queues.resume", ["queue": "default"])
            try await following.wait(for: .completed, of: id)
            #expect(try await figures("default", bench)?["paused"] == false)
        }
    }

    @Test("purging a queue cancels what waits and what is delayed, and leaves what runs")
    func purge() async throws {
        let bench = WorkerBench()
        let gate = Gate()
        try await bench.withWorker([blocking(gate), noop], concurrency: 1) { _ in
            let following = try bench.follow()
            let running = try await bench.submit(TaskRequest(name: "blocking"))
            try await following.wait(for: .started, of: running)
            var waiting = [try await bench.submit(TaskRequest(name: "apus.noop", delay: .seconds(3600)))]
            for _ in 1...50 { waiting.append(try await bench.submit(TaskRequest(name: "apus.noop", user: "42"))) }
            // From a client that knows nothing of records, and one that knows nothing of tasks.
            let subject = "apus.task.default.apus.noop"
            try await bench.bus.append(BusMessage(subject: subject, payload: Array(#"{"id":"direct"}"#.utf8)))
            waiting.append(try #require(TaskID("direct")))
            try await bench.bus.append(BusMessage(subject: subject, payload: Array("no task".utf8)))
            let other = try await bench.submit(TaskRequest(name: "apus.noop", queue: "reports"))
            #expect(try await bench.call("queues.purge", ["queue": "default"]) == ["purged": 53, "remaining": 0])
            for id in waiting {
                let status = try await bench.status(id)
                #expect(status.state == .cancelled)
                #expect(status.message == "purged from its queue")
                #expect(try await bench.stored(id.channel).last == status)
            }
            #expect(try await bench.status(other).state == .queued)
            #expect(try await bench.call("queues.purge", ["queue": "default"]) == ["purged": 0, "remaining": 0])
            gate.open()
            try await following.wait(for: .completed, of: running)
            #expect(try await figures("default", bench)?["depth"] == 0)
        }
    }

    @Test("queues are for administrators and backends, and have names")
    func access() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop]) { _ in
            for method in ["list", "pause", "resume", "purge"] {
                let error = await #expect(throws: RPCError.self) {
                    try await bench.call(
                        "queues.\(method)", ["queue": "default"], as: Caller(user: "ann", client: "c1"))
                }
                #expect(error?.code == 403)
            }
            for queue in [nil, 5, "", "a.b", "a b"] as [JSONValue] {
                let error = await #expect(throws: RPCError.self) {
                    try await bench.call("queues.pause", ["queue": queue])
                }
                #expect(error?.code == 400)
            }
            let admin = Caller(user: "root", roles: ["admin"], client: "c2")
            let paused = try await bench.call("queues.pause", ["queue": "other"], as: admin)
            #expect(paused["paused"] == true)
        }
    }
}
