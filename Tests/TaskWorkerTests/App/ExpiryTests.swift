import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// Tasks that expire while they wait.
@Suite(.timeLimit(.minutes(2))) struct ExpiryTests {
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    private func pause(_ bench: WorkerBench) async throws {
        _ = try await bench.call("queues.pause", ["queue": "default"])
        while bench.bus.waitingFetches(stream: bench.subjects.tasksStream, consumer: "worker-default") > 0 {
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Moves the clock on by seconds until `isReached`.
    private func advance(_ clock: ManualClock, until isReached: () async throws -> Bool) async throws {
        while try await !isReached() {
            clock.advance(by: .seconds(1))
            for _ in 0..<10 where try await !isReached() { try await Task.sleep(for: .milliseconds(2)) }
        }
    }

    @Test("a task fails when it expires though its turn has not come, and another that began in time does not")
    func waiting() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let gate = Gate()
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
        try await bench.withWorker([blocking, noop], concurrency: 1) { _ in
            let following = try bench.follow()
            let running = try await bench.submit(TaskRequest(name: "blocking", expires: .after(.seconds(5))))
            try await following.wait(for: .started, of: running)
            let short = try await bench.submit(TaskRequest(name: "apus.noop", user: "42", expires: .after(.seconds(5))))
            let long = try await bench.submit(TaskRequest(name: "apus.noop", expires: .after(.seconds(3600))))
            let before = clock.now
            try await advance(clock) { try await bench.status(short).state.isFinal }
            #expect(before.duration(to: clock.now) >= .seconds(5))
            #expect(before.duration(to: clock.now) < .seconds(30))
            let end = try await following.wait(for: .failed, of: short)
            #expect(end.message?.hasPrefix("expired: it had not begun by ") == true && end.attempt == 0)
            #expect(try await bench.stored(ChannelName("user:42")).map(\.state) == [.queued, .failed])
            #expect(try await bench.deadLetters().count == 1)
            gate.open()
            try await following.wait(for: .completed, of: running)
            try await following.wait(for: .completed, of: long)
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test("what expired while no worker ran fails when one runs again, also in a paused queue")
    func missed() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let id = try await bench.withWorker([noop]) { _ in
            try await pause(bench)
            return try await bench.submit(TaskRequest(name: "apus.noop", expires: .after(.seconds(60))))
        }
        clock.advance(by: .seconds(30 * 3600))
        try await bench.withWorker([noop]) { _ in
            try await advance(clock) { try await bench.status(id).state == .failed }
            try await bench.waitUntilQueueIsEmpty()
            // Nothing is left to be looked at again and again.
            try await advance(clock) { try await bench.bus.streamState("APUS_EXPIRING").messages == 0 }
        }
    }

    @Test(
        "whichever call is the last of a worker that ends it, a task that expires has failed once", .serialized,
        arguments: 1...24, CrashPoint.Moment.allCases)
    func dies(step: Int, moment: CrashPoint.Moment) async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let crash = CrashPoint()
        let comment = Comment(rawValue: "the worker dies \(moment.rawValue) call \(step)")
        let connection = FaultyBus(bench.bus.anotherConnection(), dyingAt: crash)
        let id = try await bench.withWorker([noop], on: connection) { _ in
            try await pause(bench)
            let id = try await bench.submit(TaskRequest(name: "apus.noop", expires: .after(.seconds(3))))
            crash.arm(step, moment)
            try await advance(clock) { crash.hasHappened }
            return id
        }
        clock.advance(by: .seconds(300))
        try await bench.withWorker([noop]) { _ in
            try await advance(clock) { try await bench.queueLength() == 0 }
            let seen = try await bench.stored(id.channel)
            #expect(seen.map(\.state) == [.queued, .failed], comment)
            #expect(try await bench.deadLetters().count == 1, comment)
        }
    }
}
