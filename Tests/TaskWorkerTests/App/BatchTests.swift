import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import Tasks
import TestKit
import Testing

/// Tasks that are done in no time, more of them than places: they go through the worker in batches.
@Suite(.timeLimit(.minutes(2))) struct BatchTests {
    /// Stands still, so that work takes no time unless a test says so.
    private let clock = ManualClock()
    private let bench: WorkerBench
    private let load: QueuedLoad

    init() {
        bench = WorkerBench(clock: clock)
        load = QueuedLoad(bench)
    }

    /// Lets time go by until something holds.
    private func letTimePass(until isOver: () async throws -> Bool) async throws {
        while try await !isOver() {
            clock.advance(by: .milliseconds(5))
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test("all of a batch are told that they are queued, begin and are completed, in this order and once")
    func together() async throws {
        try await load.fill(200) { number in number % 3 == 0 ? ["user": "42"] : [:] }
        let ran = Counts()
        let task = TaskDefinition(name: "quick") { _, context in
            ran.note(context.id)
            return .string(context.id.description)
        }
        try await bench.withWorker([task]) { _ in try await bench.waitUntilQueueIsEmpty() }
        try await load.expectCompleted(0..<200)
        #expect(ran.all == load.ids(0..<200).reduce(into: [:]) { $0[$1] = 1 })
        #expect(try await load.batched() > 100)
        let toUser = try await load.told("user.42", in: "user")
        // The history of a user's channel keeps the last fifty.
        #expect(toUser.count > 40)
        // Of the oldest the first ones may be gone.
        for (id, statuses) in toUser where statuses.count > 1 {
            #expect(statuses.map(\.state) == [.queued, .started, .completed], "\(id)")
        }
    }

    @Test("no more of them work at once than there are places")
    func places() async throws {
        try await load.fill(300)
        let now = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        let task = TaskDefinition(name: "quick") { _, _ in
            most.max(now.wrappingAdd(1, ordering: .relaxed).newValue, ordering: .relaxed)
            await Task.yield()
            now.wrappingSubtract(1, ordering: .relaxed)
            return nil
        }
        try await bench.withWorker([task], concurrency: 3) { _ in try await bench.waitUntilQueueIsEmpty() }
        try await load.expectCompleted(0..<300)
        #expect(try await load.batched() > 100)
        #expect(most.load(ordering: .relaxed) <= 3)
    }

    @Test("one that takes its time goes on by itself, and cancelling it cancels no other")
    func slowOne() async throws {
        try await load.fill(100) { number in number == 50 ? ["args": ["slow": true]] : [:] }
        let begun = Signal()
        let wronglyCancelled = Counts()
        let task = TaskDefinition(name: "quick") { arguments, context in
            if arguments["slow"] == true {
                begun.send()
                try await Task.sleep(for: .seconds(3600))
            }
            if Task.isCancelled { wronglyCancelled.note(context.id) }
            return nil
        }
        try await bench.withWorker([task]) { _ in
            await begun.wait()
            let slow = load.id(50)
            try await letTimePass { try await bench.stored(slow.channel).last?.state == .started }
            try await letTimePass { try await bench.queueLength() == 1 }
            try await load.fill(100..<200)
            _ = try await bench.call("tasks.cancel", ["task_id": .string(slow.description)])
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.status(slow).state == .cancelled)
        }
        try await load.expectCompleted(0..<50)
        try await load.expectCompleted(51..<200)
        #expect(wronglyCancelled.all.isEmpty)
        #expect(try await load.batched() > 50)
    }

    @Test("those behind one that takes its time are done all the same, and nobody is told of them before they begin")
    func late() async throws {
        try await load.fill(60)
        let task = TaskDefinition(name: "quick") { _, context in
            guard load.number(context.id) == 20 else { return nil }
            // Longer than a task works before it goes on by itself.
            clock.advance(by: .milliseconds(30))
            while try await bench.stored(context.id.channel).last?.state != .started {
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(try await bench.stored(load.id(21).channel).isEmpty)
            #expect(try await bench.stored(load.id(55).channel).isEmpty)
            return nil
        }
        try await bench.withWorker([task], concurrency: 1) { _ in try await bench.waitUntilQueueIsEmpty() }
        try await load.expectCompleted(0..<60)
    }

    @Test("slow ones in every batch hold up no other as long as there are places")
    func slowOnes() async throws {
        try await load.fill(700)
        let gate = Gate()
        let task = TaskDefinition(name: "quick") { _, context in
            if load.number(context.id) % 64 == 30 { await gate.pass() }
            return nil
        }
        try await bench.withWorker([task], concurrency: 13) { _ in
            try await letTimePass { try await bench.queueLength() == 11 }
            gate.open()
            try await letTimePass { try await bench.queueLength() == 0 }
        }
        for (id, statuses) in try await load.told() {
            statuses.expectHonest()
            #expect(statuses.last?.state == .completed, "\(id)")
        }
        #expect(try await load.told().count == 700)
    }

    @Test("one whose name is not known to be quick is told to have begun, also if it is cancelled in this moment")
    func otherName() async throws {
        try await load.fill(0..<40)
        let slow = try #require(TaskID("slow-1"))
        try await bench.bus.append(
            BusMessage(
                subject: bench.subjects.task(queue: "default", name: "slow"), payload: Array(#"{"id": "slow-1"}"#.utf8))
        )
        try await load.fill(40..<100)
        let quick = TaskDefinition(name: "quick") { _, _ in nil }
        let cancelled = TaskDefinition(name: "slow") { _, context in
            _ = try await bench.call("tasks.cancel", ["task_id": .string(context.id.description)])
            return nil
        }
        try await bench.withWorker([quick, cancelled], concurrency: 2) { _ in try await bench.waitUntilQueueIsEmpty() }
        try await load.expectCompleted(0..<100)
        #expect(try await load.told()[slow]?.map(\.state) == [.queued, .started, .cancelled])
        #expect(try await load.batched() > 50)
    }

    @Test("those that fail, report or give too much end as they would alone")
    func exceptions() async throws {
        try await load.fill(120) { number in
            number % 10 == 5 ? ["args": ["kind": .integer(Int64(number / 10 % 3))]] : [:]
        }
        let task = TaskDefinition(name: "quick", maximumAttempts: 1) { arguments, context in
            switch arguments["kind"]?.integerValue {
            case 0: throw TaskFailure("no good", isRetryable: false)
            case 1: try await context.progress(40, message: "nearly")
            case 2: return .string(String(repeating: "x", count: 600_000))
            default: break
            }
            return "done"
        }
        try await bench.withWorker([task]) { _ in try await bench.waitUntilQueueIsEmpty() }
        let told = try await load.told()
        for number in 0..<120 {
            let states = try #require(told[load.id(number)]).map(\.state)
            switch (number % 10 == 5, number / 10 % 3) {
            case (false, _): #expect(states == [.queued, .started, .completed])
            case (true, 1): #expect(states == [.queued, .started, .processing, .completed])
            case (true, _): #expect(states == [.queued, .started, .failed])
            }
        }
        #expect(try await bench.deadLetters().count == 8)
        #expect(try await load.batched() > 50)
    }

    @Test("those that find all places taken by slow ones go back to their queue as if they had never been taken")
    func crowded() async throws {
        try await load.fill(100)
        let release = Signal()
        let stuck = Counts()
        let given = Atomic<Int>(0)
        let bus = FaultyBus(bench.bus.anotherConnection()) { call in
            if call.operation == .retry { given.add(1, ordering: .relaxed) }
            return nil
        }
        let task = TaskDefinition(name: "quick", maximumAttempts: 1) { _, context in
            if load.number(context.id) >= 60 {
                stuck.note(context.id)
                await release.wait()
            }
            return nil
        }
        try await bench.withWorker([task], on: bus) { _ in
            // All four places are held.
            while stuck.all.count < 4 { try await Task.sleep(for: .milliseconds(2)) }
            try await letTimePass { given.load(ordering: .relaxed) >= 36 }
            #expect(try await load.told().count == 64)
            release.send()
            try await letTimePass { try await bench.queueLength() == 0 }
        }
        try await load.expectCompleted(0..<100)
        #expect(stuck.all.values.allSatisfy { $0 == 1 })
    }

    @Test("a worker that is stopped hands a batch back, and another does it")
    func drain() async throws {
        let bench = WorkerBench()
        let load = QueuedLoad(bench)
        try await load.fill(100)
        let begun = Signal()
        let stuck = TaskDefinition(name: "quick", maximumAttempts: 1) { _, context in
            guard load.number(context.id) >= 60 else { return nil }
            begun.send()
            try await Task.sleep(for: .seconds(3600))
            return nil
        }
        try await bench.withWorker([stuck], shutdownTimeout: .milliseconds(200)) { _ in await begun.wait() }
        let quick = TaskDefinition(name: "quick", maximumAttempts: 1) { _, _ in nil }
        try await bench.withWorker([quick]) { _ in try await bench.waitUntilQueueIsEmpty() }
        for (id, statuses) in try await load.told() {
            statuses.expectHonest()
            #expect(statuses.last?.state == .completed, "\(id)")
        }
        #expect(try await load.told().count == 100)
    }

    @Test("one that is cancelled while its batch is worked on stays cancelled, whatever its work has done")
    func cancelledMeanwhile() async throws {
        try await load.fill(100)
        let (canceller, cancelled) = (load.id(30), load.id(31))
        let task = TaskDefinition(name: "quick") { _, context in
            // Its batch was looked up before any of it was worked on.
            if context.id == canceller {
                _ = try await bench.call("tasks.cancel", ["task_id": .string(cancelled.description)])
            }
            return "done"
        }
        try await bench.withWorker([task], concurrency: 1) { _ in
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.status(cancelled).state == .cancelled)
        }
        #expect(try await load.told()[cancelled]?.map(\.state) == [.queued, .cancelled])
        try await load.expectCompleted(0..<31)
        try await load.expectCompleted(32..<100)
        #expect(try await load.batched() > 50)
    }

    @Test("two messages of one task that two workers take have one end between them")
    func twins() async throws {
        for _ in 0..<3 { try await load.fill(200) }
        let ran = Counts()
        let task = TaskDefinition(name: "quick") { _, context in
            ran.note(context.id)
            await Task.yield()
            return nil
        }
        try await bench.withWorker([task]) { _ in
            try await bench.withWorker([task]) { _ in try await letTimePass { try await bench.queueLength() == 0 } }
        }
        try await load.expectCompleted(0..<200)
        #expect(ran.all.count == 200)
        // Not more often than there are workers.
        #expect(ran.all.values.allSatisfy { $0 <= 2 })
    }

    @Test("one that was cancelled while it waited does not run, and one that is there twice runs once")
    func notNew() async throws {
        let ran = Counts()
        let task = TaskDefinition(name: "quick") { _, context in
            ran.note(context.id)
            return nil
        }
        try await bench.withWorker([task]) { _ in
            try await load.fill(0..<10)
            try await bench.waitUntilQueueIsEmpty()
            _ = try await bench.call("queues.pause", ["queue": "default"])
            try await load.fill(10..<60)
            try await load.fill(30..<40)
            let cancelled = load.id(20)
            _ = try await bench.call("tasks.cancel", ["task_id": .string(cancelled.description)])
            _ = try await bench.call("queues.resume", ["queue": "default"])
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.status(cancelled).state == .cancelled)
            #expect(ran.all[cancelled] == nil)
        }
        try await load.expectCompleted(0..<20)
        try await load.expectCompleted(21..<60)
        #expect(ran.all.values.allSatisfy { $0 == 1 })
    }
}
