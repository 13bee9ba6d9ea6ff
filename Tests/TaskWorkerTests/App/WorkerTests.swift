import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct WorkerTests {
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    @Test("a submitted task is queued, started and completed, on its own channel and its user's")
    func completes() async throws {
        let bench = WorkerBench()
        let double = TaskDefinition(name: "double") { arguments, context in
            #expect(context.attempt == 1)
            #expect(context.user == "42")
            return .integer((arguments["n"]?.integerValue ?? 0) * 2)
        }
        try await bench.withWorker([double]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "double", arguments: ["n": 21], user: "42"))
            let final = try await following.wait(for: .completed, of: id)
            #expect(final.result == 42)
            #expect(final.progress == 100)
            #expect(following.seen.map(\.state) == [.queued, .started, .completed])
            let user = try ChannelName("user:42")
            #expect(try await bench.stored(user) == following.seen)
            #expect(try await bench.status(id) == final)
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.deadLetters().isEmpty)
        }
    }

    @Test("each change is a CloudEvent, the same one on the task's channel and its user's")
    func cloudEvents() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "apus.noop", user: "42"))
            try await following.wait(for: .completed, of: id)
            func events(_ channel: ChannelName) async throws -> [CloudEvent] {
                try await bench.bus.messages(
                    in: bench.subjects.historyStream(namespace: channel.namespace),
                    subject: bench.subjects.channel(channel), after: 0, limit: 100
                ).map { try #require(try CloudEvent(headers: $0.message.headers, payload: $0.message.payload)) }
            }
            let told = try await events(id.channel)
            #expect(told == (try await events(try ChannelName("user:42"))))
            #expect(Set(told.map(\.id)).count == following.seen.count)
            #expect(told.allSatisfy { $0.type == "task_status" && $0.source == "apus/worker" })
            #expect(told.map(\.time) == following.seen.map(\.updatedAt))
        }
    }

    @Test("a task that any client publishes works the same, its id derived when it has none")
    func publishedDirectly() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop]) { _ in
            let following = try bench.follow()
            let subject = "apus.task.default.apus.noop"
            try await bench.bus.append(BusMessage(subject: subject, payload: Array(#"{"user":"7"}"#.utf8)))
            let derived = try await following.wait { $0.state == .completed }
            #expect(derived.id.moment != nil)
            #expect(following.seen.map(\.state) == [.queued, .started, .completed])
            try await bench.bus.append(
                BusMessage(subject: subject, headers: ["Nats-Msg-Id": "order-7"], payload: Array("{}".utf8)))
            #expect(try await following.wait { $0.state == .completed }.id.description == "order-7")
            try await bench.bus.append(BusMessage(subject: subject, payload: Array(#"{"id":"mine"}"#.utf8)))
            #expect(try await following.wait { $0.state == .completed }.id.description == "mine")
            #expect(try await bench.status(derived.id).user == "7")
        }
    }

    @Test("progress is published thinned, never falls, and its last value is seen")
    func progress() async throws {
        let bench = WorkerBench()
        let busy = TaskDefinition(name: "busy") { _, context in
            for step in 0...50_000 { try await context.progress(Double(step) / 500, message: nil) }
            try await context.progress(30, message: "going back?")
            return nil
        }
        try await bench.withWorker([busy]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "busy", user: "42"))
            try await following.wait(for: .completed, of: id)
            let reports = following.seen.filter { $0.state == .processing }
            #expect((1...200).contains(reports.count))
            #expect(reports.last?.progress == 100)
            #expect(reports.last?.message == "going back?")
            following.seen.expectHonest()
        }
    }

    @Test("a failing task is retried, then failed for good and kept as a dead letter; the queue goes on")
    func retries() async throws {
        let bench = WorkerBench()
        let attempts = Signal()
        let failing = TaskDefinition(name: "failing", maximumAttempts: 3) { _, _ in
            attempts.send()
            throw TaskFailure("no luck")
        }
        try await bench.withWorker([failing, noop], concurrency: 1) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "failing", user: "42"))
            let final = try await following.wait(for: .failed, of: id)
            #expect(attempts.count == 3)
            #expect(final.message == "given up after 3 attempts: no luck")
            #expect(
                following.seen.map(\.state) == [
                    .queued, .started, .retrying, .started, .retrying, .started, .failed,
                ])
            following.seen.expectHonest()
            let letter = try #require(try await bench.deadLetters().first)
            #expect(letter.subject == "apus.dead.task.failing")
            #expect(letter.headers[HeaderName.attempts] == "3")
            #expect(letter.headers[HeaderName.reason] == final.message)
            #expect(letter.headers[HeaderName.originalSubject] == "apus.task.default.failing")
            #expect(try JSONValue(parsing: letter.payload)["id"] == .string(id.description))
            try await following.wait(for: .completed, of: bench.submit(TaskRequest(name: "apus.noop")))
            try await bench.waitUntilQueueIsEmpty()
        }
    }

    @Test(
        "what is no task becomes a dead letter with the reason, and the queue goes on",
        arguments: ["not json", "[1]", #"{"args": 5}"#, #"{"name": "other"}"#, #"{"id": "a b"}"#, "\u{0}"])
    func malformed(payload: String) async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop], concurrency: 1) { _ in
            let following = try bench.follow()
            try await bench.bus.append(
                BusMessage(subject: "apus.task.default.apus.noop", payload: Array(payload.utf8)))
            try await following.wait(for: .completed, of: bench.submit(TaskRequest(name: "apus.noop")))
            try await bench.waitUntilQueueIsEmpty()
            let letter = try #require(try await bench.deadLetters().first)
            #expect(letter.payload == Array(payload.utf8))
            #expect(letter.headers[HeaderName.reason]?.isEmpty == false)
        }
    }

    @Test("an unknown task, wrong arguments and a result that is too large fail with what to do")
    func failures() async throws {
        struct Greet: WorkerTask {
            static let name = "greet"
            struct Arguments: Decodable, Sendable { var names: [String] }
            func run(_ arguments: Arguments, context: TaskContext) async throws -> String {
                "hello " + arguments.names.joined(separator: ", ")
            }
        }
        let large = TaskDefinition(name: "large") { _, _ in .string(String(repeating: "x", count: 600_000)) }
        let odd = TaskDefinition(name: "odd", maximumAttempts: 1) { _, _ in throw CancellationError() }
        let bench = WorkerBench()
        try await bench.withWorker([TaskDefinition(Greet()), large, odd]) { _ in
            let following = try bench.follow()
            func end(_ request: TaskRequest) async throws -> TaskStatus {
                let id = try await bench.submit(request)
                return try await following.wait { $0.id == id && $0.state.isFinal }
            }
            let unknown = try await end(TaskRequest(name: "nobody.knows"))
            #expect(unknown.state == .failed)
            #expect(unknown.message?.contains("greet") == true)
            let wrong = try await end(TaskRequest(name: "greet", arguments: ["names": 5]))
            #expect(wrong.state == .failed)
            #expect(wrong.message?.contains("names") == true)
            #expect(try await end(TaskRequest(name: "greet")).message?.contains("names is missing") == true)
            #expect(try await end(TaskRequest(name: "large")).message?.contains("600002 bytes") == true)
            #expect(try await end(TaskRequest(name: "odd")).state == .failed)
            #expect(try await end(TaskRequest(name: "greet", arguments: ["names": ["ann"]])).result == "hello ann")
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.deadLetters().count == 5)
        }
    }

    @Test("a task that is submitted twice under one id runs once")
    func duplicates() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let runs = Signal()
        let counted = TaskDefinition(name: "counted") { _, _ in
            runs.send()
            return nil
        }
        try await bench.withWorker([counted], concurrency: 1) { _ in
            let following = try bench.follow()
            let request = TaskRequest(id: TaskID("once"), name: "counted")
            let id = try await bench.submit(request)
            try await following.wait(for: .completed, of: id)
            // Beyond the duplicate window of the stream, so that the message is stored again.
            clock.advance(by: .seconds(600))
            _ = try await bench.submit(request)
            try await bench.waitUntilQueueIsEmpty()
            #expect(runs.count == 1)
            #expect(try await bench.stored(id.channel).map(\.state) == [.queued, .started, .completed])
        }
    }

    @Test("a task with an eta waits for it in the queue, not in the worker")
    func eta() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let following = try bench.follow()
        let due = clock.now.advanced(by: .seconds(600))
        let id = try #require(TaskID("later"))
        try await bench.withWorker([noop]) { _ in
            _ = try await bench.submit(TaskRequest(id: id, name: "apus.noop", eta: due))
            try await following.wait(for: .queued, of: id)
        }
        clock.advance(by: .seconds(300))
        try await bench.withWorker([noop]) { _ in
            #expect(try await bench.status(id).state == .queued)
            clock.advance(by: .seconds(299))
            #expect(try await bench.status(id).state == .queued)
            clock.advance(by: .seconds(1))
            let started = try await following.wait(for: .started, of: id)
            #expect(try #require(started.updatedAt) >= due)
            try await following.wait(for: .completed, of: id)
        }
        #expect(following.seen.map(\.state) == [.queued, .started, .completed])
    }

    @Test("a delayed task begins at its time to the second, and one that expires before it never does")
    func delayAndExpiry() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock)
        let start = clock.now
        try await bench.withWorker([noop]) { _ in
            let following = try bench.follow()
            let due = try await bench.submit(TaskRequest(name: "apus.noop", delay: .seconds(90)))
            let never = try await bench.submit(
                TaskRequest(name: "apus.noop", delay: .seconds(90), expires: .after(.seconds(30))))
            while try await bench.queueLength() == 2 {
                clock.advance(by: .seconds(1))
                try await Task.sleep(for: .milliseconds(1))
            }
            let expired = try await following.wait(for: .failed, of: never)
            #expect(expired.message?.hasPrefix("expired") == true)
            #expect(expired.attempt == 0)
            while try await bench.queueLength() > 0 {
                clock.advance(by: .milliseconds(100))
                try await Task.sleep(for: .milliseconds(1))
            }
            let begun = try #require(try await following.wait(for: .started, of: due).updatedAt)
            #expect(begun >= start.advanced(by: .seconds(90)))
            #expect(begun < start.advanced(by: .seconds(91)))
            #expect(try await bench.deadLetters().map { $0.headers[HeaderName.reason] } == [expired.message])
        }
    }

    @Test("a soft time limit is told once, so that a task can come to its end; one that does not care fails")
    func softTimeLimit() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(100))
        @Sendable func report(_ context: TaskContext) async throws {
            while true {
                try await context.progress(1)
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        let careful = TaskDefinition(name: "careful", softTimeout: .seconds(30)) { _, context in
            do {
                try await report(context)
            } catch let exceeded as SoftTimeLimitExceeded {
                try await context.progress(50)
                return .string("\(exceeded.limit), \(context.isOverSoftLimit)")
            }
            return nil
        }
        let careless = TaskDefinition(name: "careless", maximumAttempts: 1) { _, context in
            try await report(context)
            return nil
        }
        try await bench.withWorker([careful, careless]) { _ in
            let following = try bench.follow()
            let ids = [
                try await bench.submit(TaskRequest(name: "careful")),
                try await bench.submit(
                    TaskRequest(name: "careless", timeout: .seconds(3600), softTimeout: .seconds(20))),
            ]
            var final: [TaskID: TaskStatus] = [:]
            while Set(following.seen.filter { $0.attempt == 1 }.map(\.id)).count < 2 { _ = try await following.next() }
            while final.count < 2 {
                clock.advance(by: .seconds(1))
                for id in ids {
                    if let status = try? await bench.status(id), status.state.isFinal { final[id] = status }
                }
            }
            #expect(final[ids[0]]?.result == "30.0 seconds, true")
            #expect(final[ids[1]]?.message == "the attempt took longer than its soft time limit of 20s")
        }
    }

    @Test("an attempt that takes longer than its time limit is ended and retried")
    func timeLimit() async throws {
        let clock = ManualClock()
        let bench = WorkerBench(clock: clock, lease: .seconds(100))
        let ended = Signal()
        let slow = TaskDefinition(name: "slow", maximumAttempts: 2) { _, context in
            guard context.attempt == 1 else { return "quick" }
            do {
                try await Task.sleep(for: .seconds(3600))
            } catch {
                ended.send()
                throw error
            }
            return nil
        }
        try await bench.withWorker([slow]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "slow", timeout: .seconds(30)))
            try await following.wait(for: .started, of: id)
            // The plan for the time limit is there besides those for the lease.
            while try await bench.status(id).state == .started {
                clock.advance(by: .seconds(1))
                await Task.yield()
            }
            await ended.wait()
            let final = try await following.wait { $0.state.isFinal }
            #expect(final.result == "quick")
            #expect(following.seen.contains { $0.state == .retrying && $0.message?.contains("30s") == true })
        }
    }
}
