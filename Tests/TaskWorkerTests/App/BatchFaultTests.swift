import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import Tasks
import TestKit
import Testing

/// Batches, and a bus or a worker that fails in the middle of one.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BatchFaultTests {
    /// The steps that a batch takes for its tasks: 40 of each kind after the first few tasks, which go by themselves.
    @Test(
        "a worker that dies at any step of a batch leaves nothing undone and nothing done twice",
        arguments: [1, 2, 9, 30, 41, 44, 60, 80, 85, 99, 119, 125, 150, 161], CrashPoint.Moment.allCases)
    func dies(step: Int, moment: CrashPoint.Moment) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(2))
        let load = QueuedLoad(bench)
        let crash = CrashPoint()
        let dying = FaultyBus(FaultyBus(bench.bus.anotherConnection(), dyingAt: crash)) { call in
            if call.target == "task.=.\(load.id(21))" { crash.arm(step, moment) }
            return nil
        }
        try await load.fill(80) { number in number % 4 == 0 ? ["user": "7", "max_attempts": 3] : ["max_attempts": 3] }
        let ran = Counts()
        let task = TaskDefinition(name: "quick") { _, context in
            ran.note(context.id)
            return nil
        }
        try await clock.running(speed: 4) {
            try await bench.withWorker([task], on: dying) { _ in
                while !crash.hasHappened, try await bench.queueLength() > 0 {
                    try await Task.sleep(for: .milliseconds(2))
                }
                #expect(crash.hasHappened)
                try await bench.withWorker([task]) { _ in try await bench.waitUntilQueueIsEmpty() }
            }
        }
        for (id, statuses) in try await load.told() {
            statuses.expectHonest("\(id)")
            #expect(statuses.last?.state == .completed, "\(id)")
            #expect(statuses.first?.state == .queued, "\(id)")
        }
        for (id, statuses) in try await load.told("user.7", in: "user") where statuses.first?.state == .queued {
            statuses.expectHonest("to the user: \(id)")
            #expect(statuses.last?.state == .completed, "to the user: \(id)")
        }
        #expect(try await load.told().count == 80)
        #expect(ran.all.count == 80)
        // Whose beginning was recorded and whose end was not is done again, and no other.
        #expect(ran.all.values.allSatisfy { $0 <= 2 })
    }

    @Test("what was given up as lost and arrives all the same, before it is told again, is told once")
    func late() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let load = QueuedLoad(bench)
        let givenUp = Mutex<Set<String>>([])
        let connection = FaultyBus(bench.bus.anotherConnection()) { call in
            guard call.operation == .append, call.target.hasPrefix("apus.channel.task."),
                givenUp.withLock({ $0.insert(call.target).inserted })
            else { return nil }
            return .late(BusError(.timeout, "no answer in time"))
        }
        try await load.fill(100) { number in number % 2 == 0 ? ["user": "7"] : [:] }
        let task = TaskDefinition(name: "quick") { _, _ in nil }
        try await clock.running {
            try await bench.withWorker([task], on: connection) { _ in try await bench.waitUntilQueueIsEmpty() }
        }
        #expect(try await load.batched() > 50)
        for (id, statuses) in try await load.told() {
            statuses.expectHonest("\(id)")
            #expect(statuses.map(\.state) == [.queued, .started, .completed], "\(id)")
        }
        #expect(try await load.told().count == 100)
    }

    @Test("a user who was not told of a batch's end, though the tasks' channels were, is told by another worker")
    func userIsBehind() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(2))
        let load = QueuedLoad(bench)
        let crash = Mutex(false)
        // The stream of users stands still, those of tasks and records do not; then the worker dies.
        let dying = FaultyBus(bench.bus.anotherConnection()) { call in
            if crash.withLock({ $0 }) { return .refused(BusError(.closed, "the process has died")) }
            guard call.operation == .append, call.target == "apus.channel.user.7" else { return nil }
            return .refused(BusError(.timeout, "no answer"))
        }
        try await load.fill(80) { number in number % 4 == 0 ? ["user": "7"] : [:] }
        let task = TaskDefinition(name: "quick") { _, _ in nil }
        let toUser = try bench.bus.messages(on: "apus.live.user.7", bufferLimit: 1000)
        try await clock.running(speed: 4) {
            try await bench.withWorker([task], on: dying, shutdownTimeout: .milliseconds(500)) { _ in
                try await bench.waitUntilQueueHolds(atMost: 20)
                crash.withLock { $0 = true }
            }
            try await bench.withWorker([task]) { _ in try await bench.waitUntilQueueIsEmpty() }
        }
        var missing = Set(stride(from: 0, to: 80, by: 4).map(load.id))
        for await message in toUser {
            let status = TaskStatus(json: try JSONValue(parsing: message.payload))
            // The first tasks go by themselves, and are told that they are queued and begin.
            guard let status, status.state == .completed else { continue }
            #expect(missing.remove(status.id) != nil, "\(status.id) is told twice")
            if missing.isEmpty { break }
        }
    }

    /// Of many calls that fail each batch has some; of few, one gets through and the next does not.
    @Test("a bus that fails now and then holds a batch up and changes nothing", arguments: 0..<4, [12, 250])
    func outages(seed: Int, oneIn: Int) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let load = QueuedLoad(bench)
        let random = Mutex(SeededGenerator(seed: seed))
        let failing: Set<BusCall.Operation> = [.update, .append, .acknowledge, .get, .lastMessage, .messages]
        let faulty = FaultyBus(bench.bus.anotherConnection()) { call in
            guard failing.contains(call.operation) else { return nil }
            let late = FaultyBus.Fault.late(BusError(.timeout, "no answer in time"))
            return random.withLock {
                Int.random(in: 0..<oneIn, using: &$0) == 0
                    ? (FaultyBus.Fault.outages + [late]).randomElement(using: &$0) : nil
            }
        }
        try await load.fill(150) { number in number % 4 == 0 ? ["user": "7"] : [:] }
        let ran = Counts()
        let task = TaskDefinition(name: "quick", maximumAttempts: 1) { _, context in
            ran.note(context.id)
            return nil
        }
        try await clock.running {
            try await bench.withWorker([task], on: faulty) { _ in try await bench.waitUntilQueueIsEmpty() }
        }
        let (told, recorded) = (try await load.told(), try await load.recorded())
        for number in 0..<150 {
            let statuses = told[load.id(number)] ?? []
            statuses.expectHonest("seed \(seed), task \(number)")
            #expect(statuses.map(\.state) == [.queued, .started, .completed], "seed \(seed), task \(number)")
            #expect(recorded[load.id(number)]?.state == .completed, "seed \(seed), task \(number)")
        }
        #expect(ran.all.count == 150)
        #expect(ran.all.values.allSatisfy { $0 == 1 }, "seed \(seed)")
    }
}
