import EventBus
import Events
import JSON
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// It is not known whether something was told, and much happens before it is tried again.
@Suite(.timeLimit(.minutes(1))) struct AnnouncementTests {
    /// Runs a task whose end is stored on both channels without its worker knowing.
    /// - Parameter meanwhile: what happens before it tries again.
    private func run(
        _ bench: WorkerBench, _ clock: ManualClock, _ meanwhile: () async throws -> Void
    ) async throws -> TaskID {
        let (armed, lost) = (Signal(), Signal())
        let connection = FaultyBus(bench.bus.anotherConnection()) { call in
            guard call.operation == .append, call.target.hasPrefix("apus.channel.task."),
                armed.count > lost.count
            else { return nil }
            lost.send()
            return .unanswered(BusError(.timeout, "no answer"))
        }
        let task = TaskDefinition(name: "task") { _, context in
            // What is to be told at the beginning has been told by the time that this is.
            try await context.progress(50)
            while try await bench.stored(context.id.channel).last?.state != .processing {
                try await Task.sleep(for: .milliseconds(2))
            }
            armed.send()
            return "done"
        }
        return try await bench.withWorker([task], on: connection) { _ in
            let id = try await bench.submit(TaskRequest(name: "task", user: "42"))
            await lost.wait()
            while try await bench.stored(id.channel).last?.state != .completed {
                try await Task.sleep(for: .milliseconds(2))
            }
            try await meanwhile()
            while try await bench.queueLength() > 0 {
                clock.advance(by: .seconds(1))
                try await Task.sleep(for: .milliseconds(2))
            }
            return id
        }
    }

    @Test("what the user was told is not told again, though the server has forgotten it")
    func forgotten() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let user = try bench.bus.messages(on: "apus.live.user.42", bufferLimit: 1000)
        let channel = try ChannelName(namespace: "user", name: "42")
        let id = try await run(bench, clock) {
            let publisher = ChannelPublisher(bus: bench.bus, subjects: bench.subjects)
            for number in 0..<60 { try await publisher.publish(Array("\(number)".utf8), on: channel) }
            // Longer than ids are remembered.
            clock.advance(by: .seconds(180))
        }
        let publisher = ChannelPublisher(bus: bench.bus, subjects: bench.subjects)
        try await publisher.publish(Array("\"end\"".utf8), on: channel)
        var seen: [TaskStatus] = []
        for await message in user {
            if message.payload == Array("\"end\"".utf8) { break }
            if let status = TaskStatus(json: try JSONValue(parsing: message.payload)) { seen.append(status) }
        }
        seen.expectHonest()
        #expect(seen.last?.state == .completed)
        #expect(try await bench.stored(id.channel) == seen)
    }

    @Test("what the server lost of the user's channel, and not of the task's, is told again")
    func lost() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let channel = try ChannelName(namespace: "user", name: "42")
        let id = try await run(bench, clock) {
            #expect(try await bench.stored(channel).last?.state == .completed)
            try await bench.bus.purge(
                stream: bench.subjects.historyStream(namespace: "user"), subject: nil, keep: 0)
            clock.advance(by: .seconds(180))
        }
        #expect(try await bench.stored(channel).map(\.state) == [.completed])
        #expect(try await bench.stored(id.channel).filter(\.state.isFinal).count == 1)
    }

    @Test("who stood still since it looked what was told looks again before it tells what was missing")
    func stoodStill() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(2))
        let untold = try await bench.endUntold()
        let id = untold.id
        let history = Mutex<[String]>([])
        let lease = bench.lease
        let standing = FaultyBus(bench.bus.anotherConnection()) { call in
            history.withLock { history in
                switch call.operation {
                case .lastMessage where call.target == "apus.channel.task.\(id)": history.append("looks")
                case .append where call.target == "apus.channel.task.\(id)": history.append("tells")
                case .messages where call.target == "APUS_CHANNEL_USER" && !history.contains("stands still"):
                    history.append("stands still")
                    clock.advance(by: lease)
                default: break
                }
            }
            return nil
        }
        try await clock.running {
            try await bench.withWorker([untold.task], on: standing) { _ in try await bench.waitUntilQueueIsEmpty() }
        }
        let after = history.withLock { $0.drop { $0 != "stands still" }.dropFirst() }
        #expect(after.first == "looks")
        #expect(after.contains("tells"))
        let told = try await bench.stored(id.channel)
        told.expectHonest()
        #expect(told.last?.state == .completed)
    }
}
