import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct TaskCallsTests {
    private let ann = Caller(user: "ann", client: "c1")
    private let bob = Caller(user: "bob", client: "c2")
    private let admin = Caller(user: "root", roles: ["admin"], client: "c3")
    private let anonymous = Caller(client: "c4")
    private let noop = TaskDefinition(name: "apus.noop") { _, _ in nil }

    private func code(_ operation: () async throws -> JSONValue) async throws -> Int {
        do {
            _ = try await operation()
            return 200
        } catch let error as RPCError {
            return error.code
        }
    }

    @Test("what is submitted is checked, and belongs to its caller")
    func submit() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop]) { _ in
            let bad: [(JSONValue, Caller?)] = [
                ([:], nil), (["name": 1], ann), (["name": "x", "max_attempts": 0], ann), ([1], ann),
                (["name": "x", "id": "mine"], ann), (["name": "x", "timeout": "soon"], nil),
            ]
            for (parameters, caller) in bad {
                #expect(try await code { try await bench.call("tasks.submit", parameters, as: caller) } == 400)
            }
            #expect(
                try await code { try await bench.call("tasks.submit", ["name": "x", "user": "bob"], as: ann) } == 403)
            #expect(try await code { try await bench.call("tasks.submit", ["name": "x"], as: anonymous) } == 403)
            let following = try bench.follow("user.ann")
            let id = try await bench.submit(TaskRequest(name: "apus.noop"), as: ann)
            #expect(try await following.wait(for: .completed, of: id).user == "ann")
            let other = try await bench.submit(TaskRequest(name: "apus.noop", user: "ann"), as: admin)
            try await following.wait(for: .completed, of: other)
        }
    }

    @Test("a task is seen by its user, by administrators and by backends, and nobody else may follow it")
    func access() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([noop]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "apus.noop"), as: ann)
            try await following.wait(for: .completed, of: id)
            let parameters: JSONValue = ["task_id": .string(id.description)]
            for (caller, expected) in [(ann, 200), (admin, 200), (Caller(), 200), (bob, 404), (anonymous, 403)] {
                #expect(try await code { try await bench.call("tasks.get", parameters, as: caller) } == expected)
            }
            #expect(try await code { try await bench.call("tasks.get", ["task_id": "nobody"]) } == 404)
            #expect(try await code { try await bench.call("tasks.get", [:]) } == 400)
            func hook(_ channel: String, _ caller: Caller) async throws -> JSONValue {
                var request = BusMessage(
                    subject: "apus.hook.task.subscribe",
                    payload: JSONValue.object(["channel": .string(channel)]).serialized())
                caller.write(to: &request.headers)
                let reply = try await bench.bus.request(request, timeout: .seconds(5))
                switch RPCReply(payload: reply.payload) {
                case .result(let value)?: return value
                case .error(let error)?: throw error
                case nil: return nil
                }
            }
            for (caller, expected) in [(ann, 200), (admin, 200), (bob, 403), (anonymous, 403)] {
                #expect(try await code { try await hook("task:\(id)", caller) } == expected)
            }
            #expect(try await code { try await hook("task:nobody", ann) } == 403)
            #expect(try await code { try await hook("room:\(id)", ann) } == 400)
        }
    }

    @Test("tasks are listed newest first, page by page, each user's own")
    func list() async throws {
        let bench = WorkerBench()
        let failing = TaskDefinition(name: "failing", maximumAttempts: 1) { _, _ in throw TaskFailure("no") }
        try await bench.withWorker([noop, failing]) { _ in
            let following = try bench.follow("user.ann")
            var ids: [String] = []
            for index in 0..<7 {
                let name = index == 3 ? "failing" : "apus.noop"
                // Every third has an id that does not tell its time.
                let request = TaskRequest(
                    id: index % 3 == 1 ? TaskID("own-\(9 - index)") : nil, name: name, user: "ann")
                let id = try await bench.submit(request)
                try await following.wait { $0.id == id && $0.state.isFinal }
                ids.insert(id.description, at: 0)
            }
            _ = try await bench.submit(TaskRequest(name: "apus.noop"), as: bob)
            var pages: [[String]] = []
            var before: JSONValue = nil
            repeat {
                let page = try await bench.call("tasks.list", ["limit": 3, "before": before], as: ann)
                pages.append((page["tasks"]?.arrayValue ?? []).compactMap { $0["task_id"]?.stringValue })
                before = page["next"] ?? nil
            } while !before.isNull
            #expect(pages.map(\.count) == [3, 3, 1])
            #expect(pages.flatMap(\.self) == ids)
            let failed = try await bench.call("tasks.list", ["status": "failed"], as: ann)
            #expect(failed["tasks"]?.arrayValue?.count == 1)
            #expect(try await bench.call("tasks.list", [:], as: admin)["tasks"]?.arrayValue?.count == 8)
            #expect(try await bench.call("tasks.list", ["user": "bob"], as: admin)["tasks"]?.arrayValue?.count == 1)
            #expect(try await code { try await bench.call("tasks.list", ["user": "bob"], as: ann) } == 403)
            for bad in [["status": "done"], ["limit": 0], ["limit": "x"], ["before": 5], ["user": []]] as [JSONValue] {
                #expect(try await code { try await bench.call("tasks.list", bad, as: admin) } == 400)
            }
        }
    }

    @Test("a running task that is cancelled ends at once and is cancelled for everybody")
    func cancelRunning() async throws {
        let bench = WorkerBench()
        let (begun, ended) = (Signal(), Signal())
        let endless = TaskDefinition(name: "endless") { _, context in
            begun.send()
            defer { ended.send() }
            try await context.progress(20)
            try await Task.sleep(for: .seconds(3600))
            return nil
        }
        try await bench.withWorker([endless]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "endless"), as: ann)
            await begun.wait()
            let parameters: JSONValue = ["task_id": .string(id.description)]
            #expect(try await code { try await bench.call("tasks.cancel", parameters, as: bob) } == 404)
            let answer = try await bench.call("tasks.cancel", parameters, as: ann)
            #expect(answer["status"] == "cancelled")
            await ended.wait()
            try await following.wait(for: .cancelled, of: id)
            try await bench.waitUntilQueueIsEmpty()
            let seen = try await bench.stored(id.channel)
            seen.expectHonest()
            #expect(seen.last?.state == .cancelled)
            // Again is the same, and a task that is done cannot be cancelled.
            #expect(try await bench.call("tasks.cancel", parameters, as: ann)["status"] == "cancelled")
            #expect(try await bench.deadLetters().isEmpty)
        }
    }

    @Test("a task that was published on the bus can be cancelled before any worker has looked at it")
    func cancelPublished() async throws {
        let bench = WorkerBench()
        let gate = Gate()
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            await gate.pass()
            return nil
        }
        try await bench.withWorker([blocking], concurrency: 1) { _ in
            let following = try bench.follow()
            try await following.wait(for: .started, of: bench.submit(TaskRequest(name: "blocking")))
            try await bench.bus.append(
                BusMessage(
                    subject: "apus.task.default.blocking", headers: ["Nats-Msg-Id": "mine"],
                    payload: Array(#"{"user":"ann"}"#.utf8)))
            #expect(try await code { try await bench.call("tasks.cancel", ["task_id": "mine"], as: bob) } == 404)
            #expect(try await code { try await bench.call("tasks.cancel", ["task_id": "nobody"]) } == 404)
            let status = try await bench.call("tasks.cancel", ["task_id": "mine"], as: ann)
            #expect(status["status"] == "cancelled")
            gate.open()
            try await bench.waitUntilQueueIsEmpty()
            let id = try #require(TaskID("mine"))
            #expect(try await bench.status(id).state == .cancelled)
            #expect(try await bench.stored(id.channel).last?.state == .cancelled)
            #expect(!following.seen.contains { $0.id == id && $0.state == .started })
        }
    }

    @Test("a queued task that is cancelled is never run, and one that is done stays done")
    func cancelQueued() async throws {
        let bench = WorkerBench()
        let (begun, release, runs) = (Signal(), Signal(), Signal())
        let blocking = TaskDefinition(name: "blocking") { _, _ in
            begun.send()
            await release.wait()
            return nil
        }
        let counted = TaskDefinition(name: "counted") { _, _ in
            runs.send()
            return nil
        }
        try await bench.withWorker([blocking, counted], concurrency: 1) { _ in
            let following = try bench.follow()
            let first = try await bench.submit(TaskRequest(name: "blocking"))
            await begun.wait()
            let second = try await bench.submit(TaskRequest(name: "counted"))
            let third = try await bench.submit(TaskRequest(name: "counted"))
            #expect(
                try await bench.call("tasks.cancel", ["task_id": .string(second.description)])["status"] == "cancelled")
            release.send()
            try await following.wait(for: .completed, of: third)
            try await bench.waitUntilQueueIsEmpty()
            #expect(runs.count == 1)
            #expect(try await bench.stored(second.channel).map(\.state) == [.queued, .cancelled])
            let parameters: JSONValue = ["task_id": .string(first.description)]
            #expect(try await code { try await bench.call("tasks.cancel", parameters) } == 409)
        }
    }
}
