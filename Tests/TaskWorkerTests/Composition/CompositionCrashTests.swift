import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// A worker that dies at each call of the bus from the end of a task's work on, and another that takes over much later.
@Suite(.timeLimit(.minutes(5))) struct CompositionCrashTests {
    private let collect = TaskDefinition(name: "collect") { arguments, _ in .object(arguments) }

    private func add(_ atEnd: @escaping @Sendable () async -> Void = {}) -> TaskDefinition {
        TaskDefinition(name: "add", maximumAttempts: 9) { arguments, _ in
            await atEnd()
            return .integer((arguments["previous"]?.integerValue ?? 0) + 1)
        }
    }

    @Test(
        "whichever call is the last of a worker, chains and groups go on once", arguments: 1...36,
        CrashPoint.Moment.allCases)
    func dies(step: Int, moment: CrashPoint.Moment) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let crash = CrashPoint()
        let connection = FaultyBus(bench.bus.anotherConnection(), dyingAt: crash)
        let comment = Comment(rawValue: "the worker dies \(moment.rawValue) call \(step)")
        let (asked, ended) = (Signal(), Signal())
        let first = add {
            // What was asked of the worker is answered by then.
            await asked.wait()
            crash.arm(step, moment)
            ended.send()
        }
        var then: TaskID?
        try await bench.withWorker([first, collect], on: connection) { worker in
            let answer = try await bench.call(
                "tasks.group", ["tasks": [["name": "add", "chain": [["name": "add"]]]], "then": ["name": "collect"]])
            then = answer["then"]?.stringValue.flatMap(TaskID.init)
            asked.send()
            await ended.wait()
            // Until it has died, or has done all that there is.
            while !crash.hasHappened, try await bench.queueLength() > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        let callback = try #require(then)
        // Later than the stream remembers ids, and than any lease.
        clock.advance(by: .seconds(300))
        try await bench.withWorker([add(), collect]) { _ in
            try await bench.finish(clock)
            let final = try await bench.status(callback)
            #expect(final.state == .completed, comment)
            #expect(final.result["previous"] == [2], comment)
            let tasks = try await bench.call("tasks.list", [:])["tasks"]?.arrayValue ?? []
            #expect(tasks.compactMap { $0["name"]?.stringValue }.sorted() == ["add", "add", "collect"], comment)
            for task in tasks {
                let id = try #require(task["task_id"]?.stringValue.flatMap(TaskID.init))
                let seen = try await bench.stored(id.channel)
                seen.expectHonest(comment)
                #expect(seen.filter(\.state.isFinal).map(\.state) == [.completed], comment)
            }
            #expect(try await bench.deadLetters().isEmpty, comment)
        }
    }

    @Test(
        "whichever call is the last of a worker, a task that fails is one dead letter", arguments: 1...14,
        CrashPoint.Moment.allCases)
    func letters(step: Int, moment: CrashPoint.Moment) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let crash = CrashPoint()
        let connection = FaultyBus(bench.bus.anotherConnection(), dyingAt: crash)
        let comment = Comment(rawValue: "the worker dies \(moment.rawValue) call \(step)")
        func failing(_ atEnd: @escaping @Sendable () async -> Void = {}) -> TaskDefinition {
            TaskDefinition(name: "failing", maximumAttempts: 2) { _, _ in
                await atEnd()
                throw TaskFailure("no luck", isRetryable: false)
            }
        }
        let (asked, ended) = (Signal(), Signal())
        let first = failing {
            await asked.wait()
            crash.arm(step, moment)
            ended.send()
        }
        try await bench.withWorker([first], on: connection) { _ in
            _ = try await bench.submit(TaskRequest(name: "failing"))
            asked.send()
            await ended.wait()
            while !crash.hasHappened, try await bench.queueLength() > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        clock.advance(by: .seconds(300))
        try await bench.withWorker([failing()]) { _ in
            try await bench.finish(clock)
            #expect(try await bench.deadLetters().count == 1, comment)
            let letters = try await bench.call("dead.list", [:])["letters"]?.arrayValue ?? []
            #expect(letters.first?["reason"]?.stringValue?.contains("no luck") == true, comment)
        }
    }
}

extension WorkerBench {
    /// Waits until the queue is empty, with the clock going on slowly for whoever waits for it.
    fileprivate func finish(_ clock: ManualClock) async throws {
        while try await queueLength() > 0 {
            for _ in 0..<50 where try await queueLength() > 0 { try await Task.sleep(for: .milliseconds(2)) }
            clock.advance(by: .seconds(1))
        }
    }
}
