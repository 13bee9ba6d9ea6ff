import EventBus
import EventBusNATS
import Events
import Foundation
import JSON
import Logging
import ServiceKit
import ServiceLifecycle
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// The same over a real server, which is killed meanwhile.
@Suite(.enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct WorkerNATSTests {
    private static let quiet = Logger(label: "worker") { _ in SwiftLogNoOpLogHandler() }

    @Test("each task is completed once and told in order, though the server is killed and a worker replaced meanwhile")
    func serverKilled() async throws {
        let server = try await NATSServerProcess.start()
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: Self.quiet)
        let begun = Signal()
        let slow = TaskDefinition(name: "slow", maximumAttempts: 20) { arguments, context in
            begun.send()
            for step in 1...20 {
                try await context.progress(Double(step * 5))
                try await Task.sleep(for: .milliseconds(10))
            }
            return arguments["n"] ?? .null
        }
        let first = try await start([slow], on: server)
        let count = 60
        let submitting = Task {
            for number in 1...count { try await submit(number, on: bus) }
        }
        await begun.wait(10)
        await server.kill()
        try await server.restart()
        await begun.wait(25)
        // Cut off in the middle, as if it were killed; its tasks are taken over when their lease is over.
        first.cancel()
        _ = await first.result
        let second = try await start([slow], on: server)
        await server.kill()
        try await server.restart()
        try await submitting.value

        for number in 1...count {
            let id = try #require(TaskID("task-\(number)"))
            let history = try await finished(id, on: bus)
            history.expectHonest("task \(number)")
            #expect(history.filter(\.state.isFinal).map(\.state) == [.completed], "task \(number)")
            #expect(history.last?.result == .integer(Int64(number)), "task \(number)")
        }
        let dead = try await bus.messages(in: Subjects.standard.deadStream, subject: nil, after: 0, limit: 10)
        #expect(dead.isEmpty)
        second.cancel()
        _ = await second.result
        await bus.close(timeout: .seconds(2))
        await server.stop()
    }

    // MARK: Pieces

    /// A worker with a connection of its own, ready.
    private func start(_ tasks: [TaskDefinition], on server: NATSServerProcess) async throws -> Task<Void, any Error> {
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: Self.quiet)
        let context = ServiceContext(name: "apus-worker", bus: bus, logger: Self.quiet)
        let services = buildWorker(
            WorkerConfiguration(lease: .seconds(1), queues: ["default": 8]), context, tasks: tasks)
        let running = Task {
            try await withThrowingDiscardingTaskGroup { group in
                for service in services { group.addTask { try await service.run() } }
            }
            await bus.close(timeout: .zero)
        }
        while !context.readiness.isReady { try await Task.sleep(for: .milliseconds(5)) }
        return running
    }

    /// Tries until the task is stored; its id keeps it from being stored twice.
    private func submit(_ number: Int, on bus: NATSEventBus) async throws {
        let message = BusMessage(
            subject: Subjects.standard.task(queue: "default", name: "slow"),
            headers: [HeaderName.messageID: "task-\(number)"], payload: Array(#"{"args":{"n":\#(number)}}"#.utf8))
        try await patiently { _ = try await bus.append(message) }
    }

    /// All that was told of a task, once it has ended.
    private func finished(_ id: TaskID, on bus: NATSEventBus) async throws -> [TaskStatus] {
        while true {
            var history: [TaskStatus] = []
            try await patiently {
                history = try await bus.messages(
                    in: Subjects.standard.historyStream(namespace: "task"),
                    subject: Subjects.standard.channel(id.channel),
                    after: 0, limit: 1000
                ).map { try #require(TaskStatus(json: try JSONValue(parsing: $0.message.payload))) }
            }
            if history.last?.state.isFinal == true { return history }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func patiently(_ operation: () async throws -> Void) async throws {
        while true {
            do {
                return try await operation()
            } catch let error as BusError where error.isRetryable {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
