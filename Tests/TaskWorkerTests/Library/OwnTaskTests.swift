import EventBus
import Events
import JSON
import TaskTesting
import TaskWorker
import Testing

/// Scales a number; what tasks of one's own look like.
private struct Scale: WorkerTask {
    static let name = "math.scale"
    static let retry = RetryPolicy(base: .seconds(30), maximum: .seconds(60))

    struct Arguments: Codable {
        var number: Double
        var factor: Double?
        /// How many attempts fail before one succeeds.
        var failures: Int?
    }

    struct Scaled: Codable, Equatable {
        var product: Double
        var attempt: Int
    }

    func run(_ arguments: Arguments, context: TaskContext) async throws -> Scaled {
        try await context.progress(50, message: "half way")
        if context.attempt <= arguments.failures ?? 0 { throw TaskFailure("no luck") }
        return Scaled(product: arguments.number * (arguments.factor ?? 2), attempt: context.attempt)
    }
}

@Suite("Tasks of one's own", .timeLimit(.minutes(1))) struct OwnTaskTests {
    @Test("a task is tested as the function that it is, its reports recorded")
    func asFunction() async throws {
        let attempt = RecordedAttempt(attempt: 3)
        let result = try await Scale().run(.init(number: 21), context: attempt.context)
        #expect(result == Scale.Scaled(product: 42, attempt: 3))
        #expect(attempt.reports == [.init(progress: 50, message: "half way")])
        attempt.stop()
        #expect(attempt.context.isStopped)
        await #expect(throws: TaskStopped.self) {
            try await Scale().run(.init(number: 21), context: attempt.context)
        }
        #expect(attempt.reports.count == 1)
    }

    @Test("a registered task runs in a whole worker: typed arguments in, typed result out")
    func inWorker() async throws {
        try await TestWorker.run {
            $0.register(Scale())
        } body: { worker in
            let id = try await worker.submit(Scale.self, .init(number: 21))
            #expect(try await worker.result(of: id, as: Scale.Scaled.self) == .init(product: 42, attempt: 1))
            let states = worker.reports(of: id).map(\.state)
            #expect(states.first == .queued)
            #expect(states.last == .completed)
            #expect(worker.reports(of: id).contains { $0.state == .processing && $0.message == "half way" })
        }
    }

    @Test("failed attempts are repeated without waiting for the clock of the machine, and the last one counts")
    func retries() async throws {
        try await TestWorker.run {
            $0.register(Scale())
        } body: { worker in
            let begin = worker.clock.now
            let id = try await worker.submit(Scale.self, .init(number: 1, failures: 2))
            #expect(try await worker.result(of: id, as: Scale.Scaled.self).attempt == 3)
            #expect(worker.reports(of: id).filter { $0.state == .retrying }.count == 2)
            // 30 seconds after the first, and then the most that there is.
            #expect(begin.duration(to: worker.clock.now) >= .seconds(90))
            let hopeless = try await worker.submit(Scale.self, .init(number: 1, failures: 9))
            let final = try await worker.end(of: hopeless)
            #expect(final.state == .failed)
            #expect(final.message == "given up after 3 attempts: no luck")
            #expect(try await worker.deadLetters().map(\.subject) == ["apus.dead.task.math.scale"])
            await #expect(throws: TaskFailure.self) { try await worker.result(of: hopeless, as: Int.self) }
        }
    }

    @Test("arguments that do not fit and results that are no JSON fail for good, with what is wrong")
    func misfits() async throws {
        struct Pair: Codable { var left: Int, right: Int }
        try await TestWorker.run { worker in
            worker.register(Scale())
            worker.register("math.divide") { (pair: Pair, _) in Double(pair.left) / Double(pair.right) }
            worker.register("quiet") { (_: NoArguments, _) in NoResult() }
        } body: { worker in
            func end(_ name: String, _ arguments: JSONObject) async throws -> TaskStatus {
                try await worker.end(of: try await worker.submit(TaskRequest(name: name, arguments: arguments)))
            }
            let wrong = try await end("math.scale", ["number": "many"])
            #expect(wrong.state == .failed && wrong.attempt == 1)
            #expect(wrong.message == "the arguments do not fit: number must be of type Double")
            #expect(try await end("math.scale", [:]).message == "the arguments do not fit: number is missing")
            #expect(try await end("math.divide", ["left": 1, "right": 4]).result == 0.25)
            let infinite = try await end("math.divide", ["left": 1, "right": 0])
            #expect(infinite.state == .failed && infinite.attempt == 1)
            #expect(infinite.message?.contains("its result is no JSON") == true, "\(infinite.message ?? "")")
            let quiet = try await end("quiet", ["whatever": 1])
            #expect(quiet.state == .completed && quiet.result.isNull)
        }
    }

    @Test("a cancelled task is stopped where it reports")
    func cancel() async throws {
        try await TestWorker.run { worker in
            worker.register("endless") { (_: NoArguments, context) -> NoResult in
                while true {
                    try await context.progress(1)
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
        } body: { worker in
            let id = try await worker.submit(TaskRequest(name: "endless"))
            _ = await worker.wait(for: id) { $0.state == .processing }
            try await worker.cancel(id)
            #expect(try await worker.end(of: id).state == .cancelled)
        }
    }

    @Test("the tasks that come with every worker are there, and one of one's own beats one of the same name")
    func builtIn() async throws {
        try await TestWorker.run {
            $0.register("dataset.summarize") { (_: NoArguments, _) in "my own" }
        } body: { worker in
            let summary = try await worker.submit(TaskRequest(name: "dataset.summarize"))
            #expect(try await worker.result(of: summary, as: String.self) == "my own")
            let noop = try await worker.submit(TaskRequest(name: "apus.noop"))
            #expect(try await worker.end(of: noop).state == .completed)
        }
    }

    @Test("queues that are named replace those of the configuration")
    func queues() async throws {
        try await TestWorker.run { worker in
            worker.serve(queue: "images", atOnce: 1)
            worker.register(Scale())
        } body: { worker in
            let request = TaskRequest(name: Scale.name, queue: "images")
            let id = try await worker.submit(Scale.self, .init(number: 1), request: request)
            #expect(try await worker.result(of: id, as: Scale.Scaled.self).product == 2)
            let elsewhere = try await worker.submit(Scale.self, .init(number: 1))
            _ = await worker.wait(for: elsewhere) { $0.state == .queued }
            #expect(try await worker.bus.streamState(worker.subjects.tasksStream).messages == 1)
        }
    }

    @Test("what is registered wrongly is refused before anything starts, all of it at once")
    func wrong() async throws {
        let refused = await #expect(throws: WrongTasks.self) {
            try await TestWorker.run { worker in
                worker.register(Scale())
                worker.register(Scale())
                worker.register("no name") { (_: NoArguments, _) in 1 }
                worker.register("none", maximumAttempts: 0) { (_: NoArguments, _) in 1 }
                worker.serve(queue: "a.b", atOnce: 0)
            } body: { _ in
                Issue.record("a worker with wrong tasks runs")
            }
        }
        #expect(refused?.problems.count == 5)
        #expect(refused?.description.contains("two tasks are called math.scale") == true)
    }
}
