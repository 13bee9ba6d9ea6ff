import EventBus
import Events
import Foundation
import JSON
import Logging
import ServiceKit
import ServiceLifecycle
import Synchronization
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

/// A bus in memory and the workers that a test starts on it.
final class WorkerBench: Sendable {
    let bus: MemoryBus
    let clock: any BusClock
    let subjects = Subjects.standard
    let lease: Duration

    init(clock: any BusClock = SystemBusClock(), lease: Duration = .seconds(10)) {
        self.clock = clock
        self.lease = lease
        bus = MemoryBus(clock: clock)
    }

    /// Runs `body` while a worker with the given tasks serves the queue `default`, then stops it.
    func withWorker<Value: Sendable>(
        _ tasks: [TaskDefinition], on connection: (any EventBus)? = nil, concurrency: Int = 4,
        shutdownTimeout: Duration = .seconds(20), configure: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: (RunningWorker) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "worker") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let context = ServiceContext(
            name: "apus-worker", bus: connection ?? bus, subjects: subjects, logger: logger,
            shutdownTimeout: shutdownTimeout)
        var configuration = WorkerConfiguration(lease: lease, queues: ["default": concurrency])
        configure(&configuration)
        let services = buildWorker(configuration, context, tasks: tasks, clock: clock, random: { 0 })
        let group = ServiceGroup(services: services, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            // The calls are served from the moment on in which the service answers.
            while (try? await bus.request(BusMessage(subject: "$SRV.PING.apus-worker"), timeout: .seconds(5))) == nil {
                try await Task.sleep(for: .milliseconds(2))
            }
            let value: Value
            do {
                value = try await body(RunningWorker(group: group))
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return value
        }
    }

    // MARK: Driving

    func call(_ method: String, _ parameters: JSONValue, as caller: Caller? = nil) async throws -> JSONValue {
        try await bus.call(method, parameters, subjects: subjects, as: caller)
    }

    /// As ``call(_:_:as:)``, again as long as the bus is said to be away.
    func patiently(_ method: String, _ parameters: JSONValue) async throws -> JSONValue {
        while true {
            do {
                return try await call(method, parameters)
            } catch let error as RPCError where error.code == 503 {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    func submit(_ request: TaskRequest, as caller: Caller? = nil) async throws -> TaskID {
        let result = try await call("tasks.submit", request.json, as: caller)
        return try #require(result["task_id"]?.stringValue.flatMap(TaskID.init))
    }

    func status(_ id: TaskID) async throws -> TaskStatus {
        try #require(TaskStatus(json: try await call("tasks.get", ["task_id": .string(id.description)])))
    }

    /// All that was stored on a channel so far.
    func stored(_ channel: ChannelName) async throws -> [TaskStatus] {
        try await bus.messages(
            in: subjects.historyStream(namespace: channel.namespace), subject: subjects.channel(channel), after: 0,
            limit: 1000
        ).map { try #require(TaskStatus(json: try JSONValue(parsing: $0.message.payload))) }
    }

    /// Everything that is published about any task from now on, in order.
    func follow(_ channels: String = "task.>") throws -> Following {
        Following(try bus.messages(on: "apus.live.\(channels)", bufferLimit: 100_000))
    }

    func deadLetters() async throws -> [BusMessage] {
        try await bus.messages(in: subjects.deadStream, subject: nil, after: 0, limit: 100).map(\.message)
    }

    func queueLength() async throws -> UInt64 { try await bus.streamState(subjects.tasksStream).messages }

    /// Waits until the queue is empty: the acknowledgement follows the final status.
    func waitUntilQueueIsEmpty() async throws { try await waitUntilQueueHolds(atMost: 0) }

    func waitUntilQueueHolds(atMost count: UInt64) async throws {
        while try await queueLength() > count { try await Task.sleep(for: .milliseconds(2)) }
    }
}

struct RunningWorker: Sendable {
    let group: ServiceGroup

    func stop() async { await group.triggerGracefulShutdown() }
}

/// Reads what is published about tasks.
final class Following {
    private var iterator: AsyncStream<BusMessage>.Iterator
    private(set) var seen: [TaskStatus] = []

    init(_ messages: BusMessageSequence) { iterator = messages.makeAsyncIterator() }

    func next() async throws -> TaskStatus {
        let message = try #require(await iterator.next())
        let status = try #require(TaskStatus(json: try JSONValue(parsing: message.payload)))
        #expect(message.headers[HeaderName.event] == "task_status")
        seen.append(status)
        return status
    }

    /// Reads up to the first status that `isWanted`.
    @discardableResult
    func wait(until isWanted: (TaskStatus) -> Bool) async throws -> TaskStatus {
        while true {
            let status = try await next()
            if isWanted(status) { return status }
        }
    }

    @discardableResult
    func wait(for state: TaskState, of id: TaskID) async throws -> TaskStatus {
        try await wait { $0.id == id && $0.state == state }
    }
}

/// What a test and the tasks that it made tell one another.
final class Signal: Sendable {
    private let state = Mutex<(count: Int, waiting: [(Int, CheckedContinuation<Void, Never>)])>((0, []))

    var count: Int { state.withLock { $0.count } }

    func send() {
        let ready = state.withLock { state in
            state.count += 1
            let count = state.count
            let ready = state.waiting.filter { $0.0 <= count }
            state.waiting.removeAll { $0.0 <= count }
            return ready
        }
        for (_, continuation) in ready { continuation.resume() }
    }

    /// Waits until it was sent at least `count` times.
    func wait(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.count >= count { return true }
                state.waiting.append((count, continuation))
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}

extension [TaskStatus] {
    /// Checks what holds for all that anybody sees of one task.
    func expectHonest(_ comment: Comment? = nil) {
        for (earlier, later) in zip(self, dropFirst()) {
            #expect(later.supersedes(earlier), comment)
            if earlier.attempt == later.attempt { #expect(later.progress >= earlier.progress, comment) }
        }
    }
}
