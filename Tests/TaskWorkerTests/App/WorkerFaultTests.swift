import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct WorkerFaultTests {
    @Test("a worker that vanishes is replaced after the lease, and when it comes back it changes nothing")
    func takeover() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let (begun, release) = (Signal(), Signal())
        // Ignores every request to end, as a process that was stopped and goes on later.
        let stubborn = TaskDefinition(name: "task") { _, context in
            try await context.progress(80, message: "nearly")
            begun.send()
            await release.wait()
            return "from the first"
        }
        let replacement = TaskDefinition(name: "task") { _, context in
            #expect(context.attempt == 2)
            try await context.progress(10)
            return "from the second"
        }
        let first = bench.bus.anotherConnection()
        let following = try bench.follow()
        let userSeen = try bench.follow("user.>")
        try await bench.withWorker([stubborn], on: first) { _ in
            let id = try await bench.submit(TaskRequest(name: "task", user: "42"))
            await begun.wait()
            try await following.wait(for: .processing, of: id)
            first.setConnected(false)
            clock.advance(by: .seconds(9))
            try await bench.withWorker([replacement]) { _ in
                clock.advance(by: .seconds(2))
                let final = try await following.wait { $0.state.isFinal }
                #expect(final.result == "from the second")
                #expect(final.attempt == 2)
                first.setConnected(true)
                release.send()
                try await bench.waitUntilQueueIsEmpty()
            }
            #expect(try await bench.status(id).result == "from the second")
            following.seen.expectHonest()
            try await userSeen.wait { $0.state.isFinal }
            #expect(userSeen.seen == following.seen)
            #expect(try await bench.stored(id.channel) == following.seen)
        }
    }

    @Test("a task whose only attempt was lost with its worker fails and is kept as a dead letter")
    func lostLastAttempt() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let (begun, release) = (Signal(), Signal())
        let stuck = TaskDefinition(name: "task", maximumAttempts: 1) { _, _ in
            begun.send()
            await release.wait()
            return nil
        }
        let first = bench.bus.anotherConnection()
        let following = try bench.follow()
        try await bench.withWorker([stuck], on: first) { _ in
            let id = try await bench.submit(TaskRequest(name: "task"))
            await begun.wait()
            first.setConnected(false)
            try await bench.withWorker([stuck]) { _ in
                clock.advance(by: .seconds(11))
                let final = try await following.wait(for: .failed, of: id)
                #expect(final.message?.contains("lost") == true)
                try await bench.waitUntilQueueIsEmpty()
                #expect(try await bench.deadLetters().count == 1)
                #expect(begun.count == 1)
            }
            // The bus first: what it refuses is tried again when the clock says so, which stands still.
            first.setConnected(true)
            release.send()
        }
    }

    @Test("a worker that is stopped hands its tasks back at once, and the attempt does not count")
    func drain() async throws {
        let bench = WorkerBench()
        let begun = Signal()
        let endless = TaskDefinition(name: "task", maximumAttempts: 1) { _, context in
            begun.send()
            try await context.progress(50)
            try await Task.sleep(for: .seconds(3600))
            return nil
        }
        let quick = TaskDefinition(name: "task", maximumAttempts: 1) { _, _ in "done" }
        let following = try bench.follow()
        let id = try await bench.withWorker([endless], shutdownTimeout: .milliseconds(200)) { _ in
            let id = try await bench.submit(TaskRequest(name: "task"))
            await begun.wait()
            return id
        }
        #expect(try await bench.queueLength() == 1)
        try await bench.withWorker([quick]) { _ in
            let final = try await following.wait(for: .completed, of: id)
            #expect(
                final.attempt == 2,
                "\(following.seen.map { "\($0.attempt).\($0.sequence) \($0.state): \($0.message ?? "")" })")
            #expect(final.result == "done")
        }
        #expect(following.seen.map(\.state).contains(.retrying))
        following.seen.expectHonest()
    }

    @Test("a worker that is stopped finishes what can be finished")
    func drainFinishes() async throws {
        let bench = WorkerBench()
        let (begun, release) = (Signal(), Signal())
        let task = TaskDefinition(name: "task") { _, _ in
            begun.send()
            await release.wait()
            return "done"
        }
        let following = try bench.follow()
        let id = try await bench.withWorker([task]) { worker in
            let id = try await bench.submit(TaskRequest(name: "task"))
            await begun.wait()
            await worker.stop()
            release.send()
            return id
        }
        #expect(try await following.wait(for: .completed, of: id).attempt == 1)
        #expect(try await bench.queueLength() == 0)
    }

    @Test("an outage shorter than the lease is not noticed by the task")
    func outage() async throws {
        let bench = WorkerBench()
        let (begun, release) = (Signal(), Signal())
        let task = TaskDefinition(name: "task", maximumAttempts: 1) { _, context in
            begun.send()
            await release.wait()
            try await context.progress(99)
            return "done"
        }
        let connection = bench.bus.anotherConnection()
        let following = try bench.follow()
        try await bench.withWorker([task], on: connection) { _ in
            let id = try await bench.submit(TaskRequest(name: "task", user: "42"))
            await begun.wait()
            connection.setConnected(false)
            // The work ends while there is no bus; its end is told when there is one.
            release.send()
            try await Task.sleep(for: .milliseconds(120))
            connection.setConnected(true)
            #expect(try await following.wait(for: .completed, of: id).attempt == 1)
            following.seen.expectHonest()
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test(
        "whatever call to the bus fails or loses its answer, each task is completed once and told in order",
        arguments: 0..<12)
    func faults(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let bench = WorkerBench(lease: .seconds(2))
        let task = TaskDefinition(name: "task", maximumAttempts: 20) { _, context in
            for step in 1...3 { try await context.progress(Double(step) * 25) }
            return "done"
        }
        let connection = bench.bus.anotherConnection()
        let operations: [MemoryBusOperation] = [.append, .read, .answer, .keyValueRead, .keyValueWrite, .fetch]
        var plan: [(MemoryBusOperation, MemoryBusFault)] = []
        for _ in 0..<12 {
            let operation = operations.randomElement(using: &random) ?? .append
            // An answer to the queue that gets lost is one that failed: it is given again.
            let fault: MemoryBusFault =
                Bool.random(using: &random) && operation != .fetch
                ? .answerIsLost : .fails(BusError(.timeout, "no answer came in time"))
            plan.append((operation, fault))
        }
        let faults = plan
        let user = try bench.follow("user.>")
        try await bench.withWorker([task], on: connection, concurrency: 2) { _ in
            var ids: [TaskID] = []
            for index in 0..<6 {
                for (operation, fault) in faults[(index * 2)..<(index * 2 + 2)] {
                    connection.inject(fault, into: operation)
                }
                let id = try #require(TaskID("t\(index)"))
                try await bench.bus.append(
                    BusMessage(
                        subject: "apus.task.default.task",
                        payload: TaskRequest(id: id, name: "task", user: "42").json.serialized()))
                ids.append(id)
            }
            var open = Set(ids)
            while !open.isEmpty {
                let status = try await user.next()
                if status.state.isFinal { open.remove(status.id) }
            }
            try await bench.waitUntilQueueIsEmpty()
            for id in ids {
                let seen = try await bench.stored(id.channel)
                seen.expectHonest("seed \(seed)")
                #expect(seen.last?.state == .completed, "seed \(seed)")
                #expect(seen.count { $0.state.isFinal } == 1, "seed \(seed)")
                #expect(user.seen.filter { $0.id == id } == seen, "seed \(seed)")
            }
            #expect(try await bench.deadLetters().isEmpty, "seed \(seed)")
        }
    }
}
