import EventBus
import Events
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeadLetterCallsTests {
    private let ann = Caller(user: "ann", client: "c1")
    private let bob = Caller(user: "bob", client: "c2")
    private let admin = Caller(user: "root", roles: ["admin"], client: "c3")
    private let failing = TaskDefinition(name: "failing", maximumAttempts: 3) { arguments, context in
        throw TaskFailure("no luck with attempt \(context.attempt)")
    }
    private let works = TaskDefinition(name: "failing") { arguments, _ in arguments["n"] ?? nil }

    private func code(_ operation: () async throws -> JSONValue) async throws -> Int {
        do {
            _ = try await operation()
            return 200
        } catch let error as RPCError {
            return error.code
        }
    }

    private func id(_ answer: JSONValue) throws -> TaskID {
        try #require(answer["task_id"]?.stringValue.flatMap(TaskID.init))
    }

    @Test("a task is shown with its arguments and what each attempt failed of, to its owner")
    func show() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([failing]) { _ in
            let following = try bench.follow()
            let long = String(repeating: "é", count: 5000)
            let id = try await bench.submit(
                TaskRequest(name: "failing", arguments: ["n": 7, "long": .string(long)], timeout: .seconds(30)), as: ann
            )
            try await following.wait(for: .failed, of: id)
            let parameters: JSONValue = ["task_id": .string(id.description)]
            let shown = try await bench.call("tasks.show", parameters, as: ann)
            #expect(shown["args"]?["n"] == 7)
            #expect(shown["args"]?["long"] == .string(long))
            #expect(shown["timeout"] == "30s")
            #expect(shown["status"] == "failed")
            let errors = try #require(shown["errors"]?.arrayValue)
            #expect(errors.map { $0["attempt"] } == [1, 2, 3])
            #expect(errors.first?["message"] == "no luck with attempt 1")
            #expect(shown["started_at"] != nil && shown["worker"] != nil)
            #expect(try await code { try await bench.call("tasks.show", parameters, as: bob) } == 404)
            #expect(try await code { try await bench.call("tasks.show", parameters, as: admin) } == 200)
        }
    }

    @Test("a task that is over is repeated under a new id, and only then, and only by its owner")
    func retry() async throws {
        let bench = WorkerBench()
        let (begun, release) = (Signal(), Signal())
        let task = TaskDefinition(name: "task") { arguments, _ in
            begun.send()
            await release.wait()
            return arguments["long"] ?? nil
        }
        try await bench.withWorker([task]) { _ in
            let following = try bench.follow()
            let long = JSONValue.string(String(repeating: "x", count: 9000))
            let old = try await bench.submit(TaskRequest(name: "task", arguments: ["long": long]), as: ann)
            let parameters: JSONValue = ["task_id": .string(old.description)]
            await begun.wait()
            #expect(try await code { try await bench.call("tasks.retry", parameters, as: ann) } == 409)
            release.send()
            try await following.wait(for: .completed, of: old)
            #expect(try await code { try await bench.call("tasks.retry", parameters, as: bob) } == 404)
            for method in ["tasks.retry", "tasks.replay"] {
                let new = try id(try await bench.call(method, parameters, as: ann))
                #expect(new != old)
                let final = try await following.wait(for: .completed, of: new)
                #expect(final.result == long)
                #expect(final.user == "ann")
                let shown = try await bench.call("tasks.show", ["task_id": .string(new.description)], as: ann)
                #expect(shown["replay_of"] == .string(old.description))
            }
        }
    }

    @Test("dead letters are listed newest first, page by page and by name, and shown with all errors")
    func browse() async throws {
        let bench = WorkerBench()
        try await bench.withWorker([failing]) { _ in
            let following = try bench.follow()
            var ids: [String] = []
            for _ in 0..<7 {
                let id = try await bench.submit(TaskRequest(name: "failing", arguments: ["n": 1], user: "ann"))
                try await following.wait(for: .failed, of: id)
                ids.insert(id.description, at: 0)
            }
            try await bench.bus.append(BusMessage(subject: "apus.task.default.other.one", payload: Array("?".utf8)))
            try await bench.waitUntilQueueIsEmpty()
            var pages: [[JSONValue]] = []
            var before: JSONValue = nil
            repeat {
                let page = try await bench.call(
                    "dead.list", ["limit": 3, "before": before, "name": "failing"], as: admin)
                pages.append(page["letters"]?.arrayValue ?? [])
                before = page["next"] ?? nil
            } while !before.isNull
            #expect(pages.map(\.count) == [3, 3, 1])
            #expect(pages.flatMap(\.self).compactMap { $0["task_id"]?.stringValue } == ids)
            let all = try await bench.call("dead.list", [:])["letters"]?.arrayValue ?? []
            #expect(all.count == 8)
            #expect(all.first?["name"] == "other.one")
            #expect(all.first?["task_id"] == .null)
            #expect(all.first?["reason"]?.stringValue?.contains("not JSON") == true)
            let sequence = try #require(all.last?["sequence"])
            let letter = try await bench.call("dead.show", ["sequence": sequence])
            #expect(letter["task_id"] == .string(ids.last ?? ""))
            #expect(letter["attempts"] == 3)
            #expect(letter["payload"]?["args"]?["n"] == 1)
            #expect(
                letter["errors"]?.arrayValue?.map { $0["message"]?.stringValue ?? "" }.dropLast()
                    == ["no luck with attempt 1", "no luck with attempt 2"])
            for method in ["dead.list", "dead.show", "dead.replay", "dead.purge"] {
                #expect(try await code { try await bench.call(method, ["sequence": sequence], as: ann) } == 403)
            }
            for bad in [["limit": 0], ["before": "x"], ["before": -1], ["name": "a..b"], ["name": 1]] as [JSONValue] {
                #expect(try await code { try await bench.call("dead.list", bad) } == 400)
            }
            #expect(try await code { try await bench.call("dead.show", [:]) } == 400)
            #expect(try await code { try await bench.call("dead.show", ["sequence": 99]) } == 404)
            #expect(try await bench.call("dead.purge", ["name": "failing"])["purged"] == 7)
            #expect(try await bench.call("dead.purge", [:])["purged"] == 1)
            #expect(try await bench.call("dead.list", [:])["letters"] == [])
        }
    }

    @Test("a dead letter is repeated with one call, once though the call is, and is then taken out")
    func replay() async throws {
        let bench = WorkerBench()
        let following = try bench.follow()
        let old = try await bench.withWorker([failing]) { _ in
            let old = try await bench.submit(TaskRequest(name: "failing", arguments: ["n": 5], user: "ann"))
            try await following.wait(for: .failed, of: old)
            try await bench.bus.append(BusMessage(subject: "apus.task.default.failing", payload: Array("?".utf8)))
            try await bench.waitUntilQueueIsEmpty()
            return old
        }
        let connection = bench.bus.anotherConnection()
        try await bench.withWorker([works], on: connection) { _ in
            // Once it has run a task it has made all that it makes, and the fault below meets the call that is meant.
            let before = try await bench.submit(TaskRequest(name: "failing", user: "bob"))
            try await following.wait(for: .completed, of: before)
            let letters = try await bench.call("dead.list", ["name": "failing"])["letters"]?.arrayValue ?? []
            #expect(letters.count == 2)
            let malformed = try #require(letters.first?["sequence"])
            #expect(try await code { try await bench.call("dead.replay", ["sequence": malformed]) } == 409)
            let sequence = try #require(letters.last?["sequence"])
            // The letter stays where it is, as after a crash before it was taken out.
            connection.inject(.fails(BusError(.timeout, "no answer came in time")), into: .manage)
            #expect(try await code { try await bench.call("dead.replay", ["sequence": sequence]) } == 503)
            let new = try id(try await bench.call("dead.replay", ["sequence": sequence]))
            let final = try await following.wait(for: .completed, of: new)
            #expect(final.result == 5)
            #expect(final.user == "ann")
            try await bench.waitUntilQueueIsEmpty()
            #expect(try await bench.stored(new.channel).map(\.state) == [.queued, .started, .completed])
            let tasks = try await bench.call("tasks.list", ["user": "ann"])["tasks"]?.arrayValue ?? []
            #expect(tasks.count == 2)
            let shown = try await bench.call("tasks.show", ["task_id": .string(new.description)])
            #expect(shown["replay_of"] == .string(old.description))
            #expect(try await code { try await bench.call("dead.replay", ["sequence": sequence]) } == 404)
            #expect(try await bench.call("dead.list", [:])["letters"]?.arrayValue?.count == 1)
        }
    }

    @Test("a task that failed is one dead letter, whichever call to the bus fails at its end", arguments: 0..<24)
    func once(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let bench = WorkerBench(lease: .seconds(1))
        let connection = bench.bus.anotherConnection()
        let operations: [MemoryBusOperation] = [.append, .answer, .keyValueWrite, .read]
        let plan = (0..<3).map { _ in
            (operations.randomElement(using: &random) ?? .append, Bool.random(using: &random))
        }
        let once = TaskDefinition(name: "failing", maximumAttempts: 1) { _, _ in
            for (operation, isLost) in plan {
                connection.inject(
                    isLost ? .answerIsLost : .fails(BusError(.timeout, "no answer came in time")), into: operation)
            }
            throw TaskFailure("no luck")
        }
        try await bench.withWorker([once], on: connection) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: "failing"))
            try await following.wait(for: .failed, of: id)
            try await bench.waitUntilQueueIsEmpty()
            let letters = try await bench.deadLetters().filter { $0.headers[HeaderName.taskID] == id.description }
            #expect(letters.count == 1, "seed \(seed)")
        }
    }
}
