import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct SchedulerTests {
    private let admin = Caller(user: "root", roles: ["admin"], client: "c3")
    private let tick = TaskDefinition(name: "tick") { arguments, _ in arguments["scheduled_at"] ?? nil }

    private func schedule(_ cron: String, missed: String = "once", name: String = "beat") throws -> ScheduleDefinition {
        try #require(
            ScheduleDefinition(
                name: name, json: ["cron": .string(cron), "task": "tick", "missed": .string(missed), "user": "ann"],
                report: { _, _ in }))
    }

    /// The moments of all firings of which there is a task, in order.
    private func firings(_ bench: WorkerBench) async throws -> [String] {
        let tasks = try await bench.patiently("tasks.list", ["limit": 200])["tasks"]?.arrayValue ?? []
        #expect(tasks.allSatisfy { $0["user"] == "ann" })
        return try await tasks.asyncMap { task in
            let shown = try await bench.patiently("tasks.show", ["task_id": task["task_id"] ?? nil])
            return shown["args"]?["scheduled_at"]?.stringValue ?? ""
        }.sorted()
    }

    @Test("each firing is one task though three workers fire, some of whose calls to the bus fail", arguments: 0..<6)
    func once(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let clock = ManualClock(now: Timestamp(seconds: 1_700_000_000))
        let bench = WorkerBench(clock: clock)
        let schedules = [try schedule("*/5 * * * *", missed: "all")]
        let connections = (0..<3).map { _ in bench.bus.anotherConnection() }
        let stopping = Signal()
        async let _: Void = pass(clock, from: stopping)
        defer { stopping.send() }
        try await bench.withWorker([tick], on: connections[0], configure: { $0.schedules = schedules }) { _ in
            try await bench.withWorker([tick], on: connections[1], configure: { $0.schedules = schedules }) { _ in
                try await bench.withWorker([tick], on: connections[2], configure: { $0.schedules = schedules }) { _ in
                    try await waitForStates(bench)
                    for _ in 0..<60 {
                        let connection = connections[Int.random(in: 0..<3, using: &random)]
                        let operation: MemoryBusOperation = [.append, .keyValueRead, .keyValueWrite][
                            Int.random(in: 0..<3, using: &random)]
                        connection.inject(
                            Bool.random(using: &random)
                                ? .answerIsLost : .fails(BusError(.timeout, "no answer came in time")), into: operation)
                        clock.advance(by: .seconds(60))
                        try await Task.sleep(for: .milliseconds(5))
                    }
                    let end = clock.now
                    let expected = schedules[0].firings.all(
                        after: Timestamp(seconds: 1_700_000_000), through: end, limit: 100
                    ).firings.map(\.description)
                    #expect(expected.count == 12)
                    try await until(bench, clock) {
                        try await firings(bench).filter { $0 <= end.description } == expected
                    }
                    let tasks = try await bench.patiently("tasks.list", ["limit": 200])["tasks"]?.arrayValue ?? []
                    #expect(Set(tasks.map { $0["task_id"] }).count == tasks.count, "seed \(seed)")
                    // A worker that is stopped ends what it has begun, and what failed is tried again when the clock says so.
                    stopping.send()
                }
            }
        }
    }

    @Test("what was missed while no worker ran is made up for as the policy says", arguments: ["skip", "once", "all"])
    func missed(policy: String) async throws {
        let clock = ManualClock(now: Timestamp(seconds: 1_700_000_400))
        let bench = WorkerBench(clock: clock)
        let schedules = [try schedule("0 * * * *", missed: policy)]
        try await bench.withWorker([tick], configure: { $0.schedules = schedules }) { _ in
            try await waitForStates(bench)
        }
        let before = try await state(bench)
        clock.advance(by: .seconds(5 * 3600))
        try await bench.withWorker([tick], configure: { $0.schedules = schedules }) { _ in
            // The state goes on when all that is due has been dealt with.
            try await until(bench, clock) { try await state(bench) != before }
            try await bench.waitUntilQueueIsEmpty()
            let count = try await firings(bench).count
            #expect(count == ["skip": 0, "once": 1, "all": 5][policy])
            let list = try await bench.call("schedules.list", [:], as: admin)["schedules"]?.arrayValue ?? []
            #expect(list.count == 1)
            #expect(list.first?["name"] == "beat" && list.first?["cron"] == "0 * * * *")
            let next = try #require(schedules[0].firings.next(after: clock.now))
            #expect(list.first?["next"] == .string(next.description))
            #expect((list.first?["last"]?.isNull ?? true) == (policy == "skip"))
            await #expect(throws: RPCError.self) {
                try await bench.call("schedules.list", [:], as: Caller(user: "ann", client: "c"))
            }
        }
    }

    @Test("a worker killed between the task and the schedule's state is followed by one that finds the task there")
    func killed() async throws {
        let clock = ManualClock(now: Timestamp(seconds: 1_700_000_400))
        let bench = WorkerBench(clock: clock)
        let schedules = [try schedule("0 * * * *", missed: "all")]
        try await bench.withWorker([tick], configure: { $0.schedules = schedules }) { _ in
            try await waitForStates(bench)
            let bucket = try await bench.bus.keyValue(BucketSpecification(name: "APUS_SCHEDULES"))
            let key = try #require(try await bucket.keys().first)
            let first = try await state(bench)
            for hour in 1...3 {
                let before = try await state(bench)
                clock.advance(by: .seconds(3600))
                try await until(bench, clock) { try await state(bench) != before }
                try await bench.waitUntilQueueIsEmpty()
                #expect(try await firings(bench).count == hour)
                // As if the state had never been written: all is fired again, hours later.
                try await bucket.put(key, first)
            }
            try await until(bench, clock) { try await state(bench) != first }
            try await bench.waitUntilQueueIsEmpty()
            let expected = schedules[0].firings.all(
                after: Timestamp(seconds: 1_700_000_400), through: clock.now, limit: 100)
            #expect(try await firings(bench) == expected.firings.map(\.description))
        }
    }

    /// What the bucket holds of the one schedule.
    private func state(_ bench: WorkerBench) async throws -> [UInt8] {
        let bucket = try await bench.bus.keyValue(BucketSpecification(name: "APUS_SCHEDULES"))
        guard let key = try await bucket.keys().first else { return [] }
        return try await bucket.get(key)?.value ?? []
    }

    /// Waits for `condition`, with the clock going on slowly for whoever waits for it.
    private func until(
        _ bench: WorkerBench, _ clock: ManualClock, _ condition: () async throws -> Bool
    ) async throws {
        while try await !condition() {
            clock.advance(by: .milliseconds(500))
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Lets time pass from the signal on until the calling task is cancelled.
    private func pass(_ clock: ManualClock, from signal: Signal) async {
        await signal.wait()
        while !Task.isCancelled {
            clock.advance(by: .milliseconds(500))
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Until every schedule has its state, that is the time from which it fires.
    private func waitForStates(_ bench: WorkerBench) async throws {
        let bucket = try await bench.bus.keyValue(BucketSpecification(name: "APUS_SCHEDULES"))
        while try await bucket.keys().isEmpty { try await Task.sleep(for: .milliseconds(2)) }
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
