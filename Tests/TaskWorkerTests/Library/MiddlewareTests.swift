import EventBus
import Events
import InMemoryTracing
import JSON
import Logging
import Synchronization
import TaskTesting
import TaskWorker
import Testing
import Tracing

/// Notes who was called, and passes on.
private struct Noting: TaskMiddleware {
    let name: String
    let notes: Notes

    func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
        notes.add("\(name) before")
        defer { notes.add("\(name) after") }
        return try await next(arguments, context)
    }
}

private final class Notes: Sendable {
    private let state = Mutex<[String]>([])

    func add(_ note: String) { state.withLock { $0.append(note) } }

    var all: [String] { state.withLock { $0 } }
}

/// Keeps what is logged: level, message and metadata.
private struct NotingLogHandler: LogHandler {
    let notes: Notes
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        notes.add("\(event.level) \(event.message) \(all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })")
    }
}

@Suite("Middleware of tasks", .timeLimit(.minutes(1))) struct MiddlewareTests {
    @Test("middleware stands around every task, the first outermost, and can change what goes in and comes out")
    func order() async throws {
        struct Doubling: TaskMiddleware {
            func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
                var arguments = arguments
                arguments["n"] = .integer((arguments["n"]?.integerValue ?? 0) * 2)
                return ["wrapped": try await next(arguments, context)]
            }
        }
        let notes = Notes()
        try await TestWorker.run { worker in
            worker.use(Noting(name: "outer", notes: notes), Noting(name: "inner", notes: notes))
            worker.register(
                TaskDefinition(name: "n") { arguments, _ in
                    notes.add("task")
                    return arguments["n"] ?? nil
                })
            worker.use(Doubling())
        } body: { worker in
            let id = try await worker.submit(TaskRequest(name: "n", arguments: ["n": 21]))
            #expect(try await worker.end(of: id).result == ["wrapped": 42])
            #expect(notes.all == ["outer before", "inner before", "task", "inner after", "outer after"])
        }
    }

    @Test("middleware that throws fails the attempt as the task would; the task is not run")
    func throwing() async throws {
        struct Closed: TaskMiddleware {
            func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
                throw TaskFailure("closed on Sundays", isRetryable: false)
            }
        }
        let notes = Notes()
        try await TestWorker.run { worker in
            worker.use(Closed())
            worker.register("n") { (_: NoArguments, _) in notes.add("run") == () }
        } body: { worker in
            let final = try await worker.end(of: try await worker.submit(TaskRequest(name: "n")))
            #expect(final.state == .failed && final.message == "closed on Sundays")
            #expect(notes.all.isEmpty)
        }
    }

    @Test("LogTasks logs beginning and end of each attempt with the task's id, and neither arguments nor result")
    func logging() async throws {
        let notes = Notes()
        let logger = Logger(label: "test") { _ in NotingLogHandler(notes: notes) }
        try await TestWorker.run(logger: logger) { worker in
            worker.use(LogTasks())
            worker.register("n", maximumAttempts: 2) { (_: NoArguments, context) in
                if context.attempt == 1 { throw TaskFailure("once") }
                return "secret result"
            }
        } body: { worker in
            let id = try await worker.submit(TaskRequest(name: "n", arguments: ["password": "secret argument"]))
            #expect(try await worker.end(of: id).state == .completed)
            let lines = notes.all.filter { $0.contains("attempt") && $0.contains("task.id=\(id)") }
            #expect(lines.count { $0.contains("info an attempt begins") } == 2)
            #expect(lines.count { $0.contains("warning an attempt has failed") && $0.contains("error=once") } == 1)
            #expect(lines.count { $0.contains("info an attempt has succeeded") && $0.contains("task.attempt=2") } == 1)
            #expect(!notes.all.contains { $0.contains("secret") })
        }
    }

    @Test("TraceTasks makes a span of each attempt, in the trace with which the task was submitted")
    func tracing() async throws {
        let tracer = Self.tracer
        try await TestWorker.run { worker in
            worker.use(TraceTasks())
            worker.register("traced", maximumAttempts: 2) { (_: NoArguments, context) in
                withSpan("inside") { _ in }
                if context.attempt == 1 { throw TaskFailure("once") }
                return 1
            }
        } body: { worker in
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let id = try await worker.submit(TaskRequest(name: "traced"), headers: ["traceparent": parent])
            #expect(try await worker.end(of: id).state == .completed)
            let extracted = tracer.performedContextExtractions.map { extraction in
                (extraction.carrier as? [String: String]) ?? [:]
            }
            #expect(extracted.contains(["traceparent": parent]))
            let spans = tracer.finishedSpans.filter { $0.operationName == "task traced" }
            #expect(spans.count == 2)
            #expect(spans.filter { $0.errors.isEmpty }.count == 1)
            let inside = tracer.finishedSpans.filter { $0.operationName == "inside" }
            #expect(Set(inside.map(\.parentSpanID)) == Set(spans.map { Optional($0.spanID) }))
        }
    }

    /// Bootstrapped once for the process.
    private static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()
}
