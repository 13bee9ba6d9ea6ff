import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// What a NATS server forgets when it is killed: here a message that was delivered as often as its consumer allows, so that it
/// stays in the stream and is never delivered again.
@Suite(.timeLimit(.minutes(1))) struct QueueSweepTests {
    @Test("a task that the server delivers no more, and that is not over, is run once")
    func queuedAgain() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let runs = Signal()
        let task = TaskDefinition(name: "task") { arguments, context in
            runs.send()
            return .object(arguments)
        }
        let id = try #require(TaskID("forgotten"))
        try await bench.makeTasksStream()
        try await bench.bus.append(
            BusMessage(
                subject: "apus.task.default.task", headers: [HeaderName.messageID: "forgotten"],
                payload: Array(#"{"args":{"n":7},"user":"42"}"#.utf8)))
        try await bench.forget(deliveries: 1, clock)
        let following = try bench.follow()
        try await bench.withWorker([task]) { _ in
            try await bench.pass(clock)
            let final = try await following.wait(for: .completed, of: id)
            #expect(final.result == ["n": 7])
            #expect(final.user == "42")
        }
        #expect(runs.count == 1)
        following.seen.expectHonest()
    }

    @Test(
        "a task whose worker was lost after its end was recorded, and that the server delivers no more, is told to be over"
    )
    func concluded() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let untold = try await bench.endUntold()
        let id = untold.id
        #expect(try await bench.stored(id.channel).contains { $0.state.isFinal } == false)
        try await bench.forget(deliveries: 2, clock)
        let user = try bench.follow("user.>")
        try await bench.withWorker([untold.task]) { _ in
            try await bench.pass(clock)
            #expect(try await user.wait(for: .completed, of: id).result == "done")
        }
        #expect(untold.begun.count == 1)
        let told = try await bench.stored(id.channel)
        told.expectHonest()
        #expect(told.filter(\.state.isFinal).map(\.state) == [.completed])
    }

    @Test("a message that is no task, and that the server delivers no more, is among the dead letters")
    func malformed() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        try await bench.makeTasksStream()
        try await bench.bus.append(BusMessage(subject: "apus.task.default.task", payload: Array("{".utf8)))
        try await bench.forget(deliveries: 1, clock)
        try await bench.withWorker([]) { _ in try await bench.pass(clock) }
        #expect(try await bench.deadLetters().count == 1)
    }

    @Test("a message that is no task does not wait for those before it that are being run")
    func malformedBehindRunning() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(2))
        let release = Signal()
        let task = TaskDefinition(name: "task", maximumAttempts: 9) { _, _ in
            await release.wait()
            return nil
        }
        try await bench.makeTasksStream()
        for payload in ["{}", "{"] {
            try await bench.bus.append(
                BusMessage(subject: "apus.task.default.task", payload: Array(payload.utf8)))
        }
        let consumer = try await bench.consumer(deliveries: 1)
        let running = try #require(try await consumer.fetch(10, wait: .zero).first)
        clock.advance(by: bench.lease / 2)
        try await running.extend()
        clock.advance(by: bench.lease / 2 + .milliseconds(1))
        // The other one has been delivered as often as it may be.
        #expect(try await consumer.fetch(10, wait: .zero).isEmpty)
        try await clock.running(speed: 4) {
            try await bench.withWorker([task]) { _ in
                try await bench.waitUntilQueueHolds(atMost: 1)
                #expect(try await bench.deadLetters().count == 1)
                release.send()
                try await bench.waitUntilQueueIsEmpty()
            }
        }
    }
}

extension WorkerBench {
    fileprivate func makeTasksStream() async throws { try await bus.ensureStream(.tasks(subjects)) }

    /// The queue's consumer, which delivers a message so often.
    fileprivate func consumer(deliveries: Int) async throws -> any BusConsumer {
        try await bus.consumer(
            ConsumerSpecification(
                stream: subjects.tasksStream, name: "worker-default", filter: subjects.tasks(queue: "default"),
                acknowledgementWait: lease, maximumDeliveries: deliveries, maximumUnacknowledged: 100))
    }

    /// Takes the queue's messages as a worker does that is then lost, for the last time that they are delivered.
    /// - Parameter deliveries: how often they have then been delivered.
    fileprivate func forget(deliveries: Int, _ clock: ManualClock) async throws {
        let consumer = try await consumer(deliveries: deliveries)
        clock.advance(by: lease + .seconds(1))
        #expect(try await consumer.fetch(10, wait: .zero).map(\.attempt) == [deliveries])
        clock.advance(by: lease + .seconds(1))
        #expect(try await consumer.fetch(10, wait: .zero).isEmpty)
        #expect(try await queueLength() == 1)
    }

    /// Lets time pass until the queue is empty.
    fileprivate func pass(_ clock: ManualClock) async throws {
        while try await queueLength() > 0 {
            for _ in 0..<20 where try await queueLength() > 0 { try await Task.sleep(for: .milliseconds(2)) }
            clock.advance(by: .seconds(1))
        }
    }
}
