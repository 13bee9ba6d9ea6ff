import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct RunningLimitTests {
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    @Test("no more tasks of a name run at once than its limit, others pass those that wait, and all are done")
    func concurrencyByName() async throws {
        let bench = WorkerBench()
        let gate = Gate()
        let running = Mutex((now: 0, most: 0))
        let single = TaskDefinition(name: "single") { _, _ in
            running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            await gate.pass()
            running.withLock { $0.now -= 1 }
            return nil
        }
        try await bench.withWorker(
            [single, noop], concurrency: 2, configure: { $0.limits = ["single": TaskLimit(concurrency: 1)] }
        ) { _ in
            let following = try bench.follow()
            for _ in 1...100 { _ = try await bench.submit(TaskRequest(name: "single")) }
            let other = try await bench.submit(TaskRequest(name: "apus.noop"))
            try await following.wait(for: .completed, of: other)
            gate.open()
            var ended = 0
            while ended < 100 { if try await following.next().state == .completed { ended += 1 } }
            #expect(running.withLock { $0.most } == 1)
            #expect(following.seen.allSatisfy { $0.attempt <= 1 })
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test("the tasks of a limited rate begin evenly spaced, over all workers together")
    func rate() async throws {
        // The workers' own time, which a busy machine holds up as it does them.
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let starts = Mutex<[Timestamp]>([])
        let limited = TaskDefinition(name: "limited") { _, _ in
            starts.withLock { $0.append(clock.now) }
            return nil
        }
        let configure: (inout WorkerConfiguration) -> Void = {
            $0.limits = ["limited": TaskLimit(rate: TaskRate("20/s"))]
        }
        try await clock.running {
            try await bench.withWorker([limited, noop], concurrency: 2, configure: configure) { _ in
                try await bench.withWorker([limited, noop], concurrency: 2, configure: configure) { _ in
                    let following = try bench.follow()
                    for _ in 1...30 { _ = try await bench.submit(TaskRequest(name: "limited")) }
                    // Those that wait for their time hold up nobody.
                    let other = try await bench.submit(TaskRequest(name: "apus.noop"))
                    try await following.wait(for: .completed, of: other)
                    try await bench.waitUntilQueueIsEmpty()
                }
            }
        }
        let times = starts.withLock { $0.sorted() }
        #expect(times.count == 30)
        // 29 intervals; a slot may be used up to a second late, which in the worst case narrows the whole by that.
        #expect(times[0].duration(to: times[29]) >= .milliseconds(29 * 50) - RateSchedule.tolerance)
        #expect(times[0].duration(to: times[29]) < .seconds(10))
    }

    @Test("a full queue refuses with what to do, and takes tasks again when some are done")
    func bound() async throws {
        let bench = WorkerBench()
        let gate = Gate()
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
        try await bench.withWorker([blocking], concurrency: 1, configure: { $0.bounds = ["default": 3] }) { _ in
            func limit() async throws -> JSONValue? {
                try await bench.call("queues.list", [:])["queues"]?.arrayValue?.first?["limit"]
            }
            while try await limit() != 3 { try await Task.sleep(for: .milliseconds(1)) }
            for _ in 1...3 { _ = try await bench.submit(TaskRequest(name: "blocking")) }
            let error = await #expect(throws: RPCError.self) {
                try await bench.submit(TaskRequest(name: "blocking"))
            }
            #expect(error?.code == 503)
            #expect(
                error?.message
                    == "the queue default is full: it holds 3 tasks and takes 3; try again when some are done")
            _ = try await bench.submit(TaskRequest(name: "blocking", queue: "other"))
            #expect(try await bench.queueLength() == 4)
            gate.open()
            while try await bench.queueLength() > 1 { try await Task.sleep(for: .milliseconds(1)) }
            _ = try await bench.submit(TaskRequest(name: "blocking"))
        }
        // A worker that says nothing of a limit lifts it.
        try await bench.withWorker([blocking]) { _ in
            for _ in 1...5 { _ = try await bench.submit(TaskRequest(name: "blocking")) }
        }
    }

    @Test("where the worker is limited as a whole, a queue of higher priority goes first")
    func priorities() async throws {
        let bench = WorkerBench()
        let gate = Gate()
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
        try await bench.withWorker(
            [blocking, noop],
            configure: {
                $0.queues = ["low": 8, "high": 8, "middle": 8]
                $0.priorities = ["high": 10, "low": -10]
                $0.concurrency = 1
            }
        ) { _ in
            let following = try bench.follow()
            let first = try await bench.submit(TaskRequest(name: "blocking", queue: "low"))
            try await following.wait(for: .started, of: first)
            for queue in ["low", "middle", "high", "low", "middle", "high"] {
                _ = try await bench.submit(TaskRequest(name: "apus.noop", queue: queue))
            }
            gate.open()
            var order: [String?] = []
            while order.count < 7 {
                let status = try await following.next()
                if status.state == .completed { order.append(status.queue) }
            }
            #expect(order == ["low", "high", "high", "middle", "middle", "low", "low"])
        }
    }
}
