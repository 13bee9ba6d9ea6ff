public import EventBus
public import Events
internal import Foundation
public import JSON
public import Logging
internal import ServiceKit
internal import ServiceLifecycle
public import TaskWorker
internal import TaskWorkerApp
public import Tasks

/// A whole worker on a bus in memory, with a clock that a test moves: what runs tasks in production, without a server.
///
/// ```swift
/// try await TestWorker.run { worker in
///     worker.register(Resize())
/// } body: { worker in
///     let id = try await worker.submit(Resize.self, .init(path: "a.png"))
///     #expect(try await worker.result(of: id, as: [Int].self) == [640, 480])
/// }
/// ```
///
/// Nothing here waits for time to pass: what a task would wait for between attempts, or until its `eta`, comes at once
/// (``end(of:)`` moves the clock), and delays between attempts are the longest that their policy allows.
public struct TestWorker: Sendable {
    /// Where everything happens: subscribe, publish, or make it fail (``MemoryBus``).
    public let bus: MemoryBus
    /// Stands still until it is moved.
    public let clock: ManualClock
    public let subjects: Subjects
    private let watch: TaskStatusWatch

    /// Runs `body` while a worker serves the queue `default`, or those that `tasks` names. Ends the worker then, as
    /// SIGTERM does.
    /// - Parameters:
    ///   - lease: of the worker. An hour by default, so that moving the clock by less ends no running attempt.
    public static func run<Value: Sendable>(
        clock: ManualClock = ManualClock(), lease: Duration = .seconds(3600),
        logger: Logger = Logger(label: "test-worker") { _ in SwiftLogNoOpLogHandler() },
        tasks: (inout WorkerTasks) throws -> Void, body: (TestWorker) async throws -> Value
    ) async throws -> Value {
        var registered = WorkerTasks()
        try tasks(&registered)
        try registered.check()
        let (bus, subjects) = (MemoryBus(clock: clock), Subjects.standard)
        let context = ServiceContext(name: "test-worker", bus: bus, subjects: subjects, logger: logger)
        let configuration = WorkerConfiguration(
            lease: lease, queues: registered.queues.isEmpty ? [TaskRequest.defaultQueue: 8] : registered.queues)
        let group = ServiceGroup(
            services: buildWorker(
                configuration, context, tasks: registered.all(over: BuiltInTasks.all(configuration)), clock: clock,
                random: { 1 }), logger: logger)
        let watch = TaskStatusWatch()
        let changes = try bus.messages(on: "\(subjects.prefix).live.task.>", bufferLimit: 100_000)
        return try await withThrowingTaskGroup(of: Void.self) { running in
            running.addTask { try await group.run() }
            running.addTask { await watch.follow(changes) }
            defer { running.cancelAll() }
            // The calls are served from the moment on in which the service answers.
            let ping = BusMessage(subject: "$SRV.PING.test-worker")
            while (try? await bus.request(ping, timeout: .seconds(5))) == nil {
                try await Task.sleep(for: .milliseconds(1))
            }
            do {
                let worker = TestWorker(bus: bus, clock: clock, subjects: subjects, watch: watch)
                let value = try await body(worker)
                await group.triggerGracefulShutdown()
                try await running.next()
                return value
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
        }
    }

    // MARK: Submitting

    /// Submits a task as a client would.
    /// - Parameter request: for a queue, a time limit, an `eta`; its name and arguments are set here.
    public func submit<Task: WorkerTask>(
        _ task: Task.Type, _ arguments: Task.Arguments, request: TaskRequest? = nil
    ) async throws -> TaskID where Task.Arguments: Encodable {
        var request = request ?? TaskRequest(name: Task.name)
        request.name = Task.name
        request.arguments = try JSONValue(parsing: JSONEncoder().encode(arguments)).objectValue ?? [:]
        return try await submit(request)
    }

    /// Submits a task as a client would.
    /// - Parameter headers: for instance `traceparent`.
    public func submit(_ request: TaskRequest, headers: BusHeaders = BusHeaders()) async throws -> TaskID {
        let answer = try await call("tasks.submit", request.json, headers: headers)
        guard let id = answer["task_id"]?.stringValue.flatMap(TaskID.init) else { throw TaskFailure("no task_id") }
        return id
    }

    /// Ends a task, wherever it is.
    public func cancel(_ id: TaskID) async throws { _ = try await call("tasks.cancel", ["task_id": .string("\(id)")]) }

    /// Calls a method of the worker as an administrator.
    /// - Throws: `RPCError` if it is answered with an error.
    public func call(
        _ method: String, _ parameters: JSONValue, headers: BusHeaders = BusHeaders()
    ) async throws -> JSONValue {
        var message = BusMessage(subject: subjects.rpc(method), payload: parameters.serialized())
        message.headers = headers
        let reply = try JSONValue(parsing: try await bus.request(message, timeout: .seconds(30)).payload)
        if let error = reply["error"] {
            throw RPCError(
                Int(error["code"]?.integerValue ?? 500), error["message"]?.stringValue ?? "the call failed")
        }
        return reply["result"] ?? .null
    }

    // MARK: Looking

    /// Everything that was told of a task so far, in order.
    public func reports(of id: TaskID) -> [TaskStatus] { watch.reports(of: id) }

    /// Waits until something is told of a task that `isWanted`, and returns it; at once if it was told already. The clock
    /// stands meanwhile.
    public func wait(for id: TaskID, until isWanted: @escaping @Sendable (TaskStatus) -> Bool) async -> TaskStatus {
        await watch.first(id, isWanted)
    }

    /// Waits for the end of a task. While it waits for a time (the next attempt, its `eta`) the clock is moved there, a
    /// second at a time; while it runs, the clock stands.
    /// - Returns: the final status: completed, failed or cancelled.
    public func end(of id: TaskID) async throws -> TaskStatus {
        while true {
            try Task.checkCancellation()
            let latest = watch.reports(of: id).last
            if let latest, latest.state.isFinal { return latest }
            if let latest, !latest.state.isRunning { clock.advance(by: .seconds(1)) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Waits as ``end(of:)`` does, and gives the result.
    /// - Throws: ``TaskFailure`` with the task's message if it did not complete.
    public func result<Result: Decodable>(of id: TaskID, as type: Result.Type = Result.self) async throws -> Result {
        let final = try await end(of: id)
        guard final.state == .completed else {
            throw TaskFailure(final.message ?? final.state.rawValue, isRetryable: false)
        }
        return try JSONDecoder().decode(Result.self, from: Data(final.result.serialized()))
    }

    /// The tasks that were given up so far, as they stand among the dead letters.
    public func deadLetters() async throws -> [BusMessage] {
        try await bus.messages(in: subjects.deadStream, subject: nil, after: 0, limit: 1000).map(\.message)
    }
}
