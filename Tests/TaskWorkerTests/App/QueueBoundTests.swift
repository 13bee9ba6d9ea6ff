import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// Tasks that are published to a queue that takes so many only.
@Suite(.timeLimit(.minutes(2))) struct QueueBoundTests {
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    /// Runs until `gate` is opened.
    private func blocking(_ gate: Gate) -> TaskDefinition {
        TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
    }

    private func publish(_ id: String, _ bench: WorkerBench, to queue: String = "default") async throws -> TaskID {
        try await bench.bus.append(
            BusMessage(
                subject: "apus.task.\(queue).blocking", payload: Array(#"{"id":"\#(id)","user":"42"}"#.utf8)))
        return try #require(TaskID(id))
    }

    private func untilBounded(_ bench: WorkerBench) async throws {
        func limit() async throws -> JSONValue? {
            try await bench.call("queues.list", [:])["queues"]?.arrayValue?.first?["limit"]
        }
        while try await limit()?.integerValue == nil { try await Task.sleep(for: .milliseconds(1)) }
    }

    /// Moves the clock on until somebody says what is waited for.
    private func ticking(_ clock: ManualClock, _ body: () async throws -> Void) async throws {
        let task = Task {
            while !Task.isCancelled {
                clock.advance(by: .milliseconds(200))
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
        defer { task.cancel() }
        try await body()
    }

    @Test("what is published beyond the bound fails soon with the reason, though its turn has not come; the rest runs")
    func published() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(3600))
        let gate = Gate()
        let following = try bench.follow("user.42")
        try await bench.withWorker([blocking(gate)], concurrency: 1, configure: { $0.bounds = ["default": 4] }) { _ in
            try await untilBounded(bench)
            var ids: [TaskID] = []
            for index in 0..<7 { ids.append(try await publish("t\(index)", bench)) }
            // Other queues are not bounded.
            for index in 0..<7 { _ = try await publish("o\(index)", bench, to: "other") }
            var refused: Set<TaskID> = []
            try await ticking(clock) {
                while refused.count < 3 {
                    let end = try await following.wait { $0.state.isFinal }
                    #expect(end.state == .failed)
                    #expect(end.message?.hasPrefix("the queue default is full: it holds ") == true)
                    refused.insert(end.id)
                }
            }
            #expect(refused == Set(ids[4...]))
            while try await bench.queueLength() > 4 + 7 { try await Task.sleep(for: .milliseconds(1)) }
            #expect(try await bench.deadLetters().count == 3)
            for id in refused { #expect(following.seen.filter { $0.id == id }.map(\.state) == [.queued, .failed]) }
            gate.open()
            for id in ids[..<4] { try await following.wait(for: .completed, of: id) }
        }
    }

    @Test("what a worker has put into the queue counts and stays, and is refused at its submission instead")
    func submitted() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(3600))
        let gate = Gate()
        let following = try bench.follow("user.42")
        try await bench.withWorker([blocking(gate)], concurrency: 1, configure: { $0.bounds = ["default": 3] }) { _ in
            try await untilBounded(bench)
            let member: JSONValue = ["name": "blocking", "user": "42"]
            let tooLarge = await #expect(throws: RPCError.self) {
                try await bench.call("tasks.group", ["tasks": .array(Array(repeating: member, count: 4))])
            }
            #expect(tooLarge?.code == 503 && tooLarge?.message.contains("make the group smaller") == true)
            let early = try await publish("early", bench)
            _ = try await bench.call("tasks.group", ["tasks": [member, member]])
            let late = try await publish("late", bench)
            let full = await #expect(throws: RPCError.self) {
                try await bench.call("tasks.group", ["tasks": [member, member]])
            }
            #expect(full?.code == 503)
            try await ticking(clock) { try await following.wait(for: .failed, of: late) }
            while try await bench.queueLength() > 3 { try await Task.sleep(for: .milliseconds(1)) }
            gate.open()
            var completed: Set<TaskID> = []
            while completed.count < 3 { completed.insert(try await following.wait { $0.state == .completed }.id) }
            #expect(completed.contains(early))
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test(
        "whatever comes and goes meanwhile, none is refused that was within the bound when it was published",
        arguments: 0..<5)
    func exact(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(3600))
        let limit = Int.random(in: 2...10, using: &random)
        let quick = TaskDefinition(name: "blocking") { _, _ in nil }
        let following = try bench.follow("user.42")
        try await bench.withWorker([quick], concurrency: 2, configure: { $0.bounds = ["default": limit] }) { _ in
            try await untilBounded(bench)
            var lengths: [TaskID: UInt64] = [:]
            try await ticking(clock) {
                for index in 0..<120 {
                    // Nobody else publishes, so that it is not longer than this when the task is there.
                    let length = try await bench.queueLength() + 1
                    lengths[try await publish("t\(index)", bench)] = length
                    if Int.random(in: 0..<30, using: &random) == 0 {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 1...5, using: &random)))
                    }
                }
                var ended: Set<TaskID> = []
                while ended.count < 120 {
                    let end = try await following.wait { $0.state.isFinal }
                    ended.insert(end.id)
                    guard end.state == .failed else { continue }
                    #expect(end.message?.hasPrefix("the queue default is full") == true, "seed \(seed)")
                    #expect(lengths[end.id, default: 0] > UInt64(limit), "seed \(seed)")
                }
            }
            try await bench.waitUntilQueueIsEmpty()
        }
    }
}
