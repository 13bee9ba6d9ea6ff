import Events
import Foundation
import JSON
import TaskWorkerApp
import TaskWorkerCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct BuiltInTaskTests {
    /// A folder of its own for one test.
    private func withFolder<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appending(path: "worker-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }

    @Test("a dataset is summarised with progress by bytes read")
    func summarize() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "numbers.csv")
            let rows = (1...100_000).map { "\($0),\($0 % 7 == 0 ? "" : "word \($0 % 5)")\n" }.joined()
            try Data(("n,w\n" + rows).utf8).write(to: file)
            let bench = WorkerBench()
            try await bench.withWorker(BuiltInTasks.all(WorkerConfiguration())) { _ in
                let following = try bench.follow("user.>")
                let id = try await bench.submit(
                    TaskRequest(name: "dataset.summarize", arguments: ["path": .string(file.path)], user: "42"))
                let final = try await following.wait { $0.id == id && $0.state.isFinal }
                #expect(final.state == .completed)
                #expect(final.result["rows"] == 100_000)
                let columns = try #require(final.result["columns"]?.arrayValue)
                #expect(columns[0]["mean"] == 50000.5)
                #expect(columns[0]["distinct_exact"] == false)
                #expect(columns[1]["missing"] == 14_285)
                #expect(columns[1]["distinct"] == 5)
                #expect(following.seen.contains { $0.state == .processing })
                following.seen.expectHonest()
            }
        }
    }

    @Test("what is no readable CSV file fails at once with what is wrong")
    func badFiles() async throws {
        try await withFolder { folder in
            try Data([0x50, 0x4B, 0x03, 0x04, 0, 0]).write(to: folder.appending(path: "sheet.xlsx"))
            try Data([0x61, 0, 0x62]).write(to: folder.appending(path: "binary.csv"))
            try Data().write(to: folder.appending(path: "empty.csv"))
            let bench = WorkerBench()
            try await bench.withWorker(BuiltInTasks.all(WorkerConfiguration())) { _ in
                let following = try bench.follow()
                for (path, word) in [
                    ("missing.csv", "no file"), ("", "directory"), ("sheet.xlsx", "spreadsheet"),
                    ("binary.csv", "binary"), ("empty.csv", "empty"),
                ] {
                    let arguments: JSONObject = ["path": .string(folder.appending(path: path).path)]
                    let id = try await bench.submit(TaskRequest(name: "dataset.summarize", arguments: arguments))
                    let final = try await following.wait { $0.id == id && $0.state.isFinal }
                    #expect(final.state == .failed)
                    #expect(final.attempt == 1)
                    #expect(final.message?.contains(word) == true, "\(final.message ?? "")")
                }
                for arguments in [[:], ["path": 5], ["path": "a.csv", "delimiter": "ab"]] as [JSONObject] {
                    let id = try await bench.submit(TaskRequest(name: "dataset.summarize", arguments: arguments))
                    #expect(try await following.wait { $0.id == id && $0.state.isFinal }.state == .failed)
                }
            }
        }
    }

    @Test("with a root, no other file is read, whatever the path or a link says")
    func root() async throws {
        try await withFolder { folder in
            let root = folder.appending(path: "root")
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
            try Data("a\n1\n".utf8).write(to: root.appending(path: "inside.csv"))
            try Data("a\n1\n".utf8).write(to: folder.appending(path: "outside.csv"))
            try FileManager.default.createSymbolicLink(
                at: root.appending(path: "link.csv"), withDestinationURL: folder.appending(path: "outside.csv"))
            let bench = WorkerBench()
            try await bench.withWorker(BuiltInTasks.all(WorkerConfiguration(datasetRoot: root.path))) { _ in
                let following = try bench.follow()
                for (path, state) in [
                    ("inside.csv", TaskState.completed), (root.appending(path: "inside.csv").path, .completed),
                    ("../outside.csv", .failed), ("link.csv", .failed),
                    (folder.appending(path: "outside.csv").path, .failed),
                ] {
                    let id = try await bench.submit(
                        TaskRequest(name: "dataset.summarize", arguments: ["path": .string(path)]))
                    #expect(try await following.wait { $0.id == id && $0.state.isFinal }.state == state, "\(path)")
                }
            }
        }
    }

    // MARK: Exec tasks

    private func exec(
        _ script: String, attempts: Int = 1, timeout: Duration? = nil, softTimeout: Duration? = nil,
        environment: [String: String] = [:]
    ) -> TaskDefinition {
        let configuration = WorkerConfiguration(tasks: [
            ExecTaskDefinition(
                name: "script", command: ["sh", "-c", script], timeout: timeout, softTimeout: softTimeout,
                maximumAttempts: attempts, environment: environment)
        ])
        return BuiltInTasks.all(configuration).first { $0.name == "script" }
            ?? TaskDefinition(name: "x") { _, _ in nil }
    }

    private func run(_ definition: TaskDefinition, _ arguments: JSONObject = [:]) async throws -> [TaskStatus] {
        let bench = WorkerBench()
        return try await bench.withWorker([definition]) { _ in
            let following = try bench.follow()
            let id = try await bench.submit(TaskRequest(name: definition.name, arguments: arguments, user: "42"))
            try await following.wait { $0.id == id && $0.state.isFinal }
            following.seen.expectHonest()
            return following.seen
        }
    }

    @Test("a program gets its arguments and its environment, and gives progress and a result")
    func execResult() async throws {
        let script = #"""
            read line
            echo '{"progress": 40, "message": "half"}'
            echo "noise"
            echo "{\"result\": {\"args\": $line, \"attempt\": \"$APUS_ATTEMPT\", \"user\": \"$APUS_USER\", \"x\": \"$X\"}}"
            """#
        let seen = try await run(exec(script, environment: ["X": "y"]), ["width": 80])
        let final = try #require(seen.last)
        #expect(final.state == .completed, "\(final.message ?? "")")
        #expect(final.result == ["args": ["width": 80], "attempt": "1", "user": "42", "x": "y"])
        #expect(seen.contains { $0.state == .processing && $0.progress == 40 && $0.message == "half" })
    }

    @Test("how a program fails decides what its task says")
    func execFailures() async throws {
        #expect(try await run(exec("echo oops >&2; exit 3")).last?.message == "oops")
        #expect(try await run(exec(#"echo '{"error": "no", "retry": false}'"#, attempts: 5)).last?.attempt == 1)
        let retried = try await run(exec(#"test "$APUS_ATTEMPT" = 2 && echo '{"result": 1}'"#, attempts: 3))
        #expect(retried.last?.state == .completed)
        #expect(retried.last?.attempt == 2)
        #expect(try await run(exec("exit 0")).last?.result == .null)
        #expect(try await run(exec("kill -9 $$")).last?.message?.contains("signal 9") == true)
        // It does not read what it is given, however much that is.
        #expect(
            try await run(exec("exit 0"), ["x": .string(String(repeating: "y", count: 500_000))]).last?.state
                == .completed)
    }

    @Test(
        "a program that is not there fails with what to do",
        arguments: [["no-such-program-here"], ["./nothing"], ["/tmp"]])
    func execMissing(command: [String]) async throws {
        let configuration = WorkerConfiguration(tasks: [ExecTaskDefinition(name: "script", command: command)])
        let definition = try #require(BuiltInTasks.all(configuration).first { $0.name == "script" })
        let final = try #require(try await run(definition).last)
        #expect(final.state == .failed)
        #expect(final.attempt == 1)
        #expect(final.message?.contains("worker.tasks.script") == true)
    }

    @Test("a program that takes too long is ended with all that it started, even if it ignores the first signal")
    func execTimeout() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "pids").path
            let script =
                "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> \(file); sleep 600' & echo $$ >> \(file); sleep 600; sleep 600"
            let final = try #require(try await run(exec(script, timeout: .seconds(1))).last)
            #expect(final.state == .failed)
            #expect(final.message?.contains("1s") == true)
            let pids = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").compactMap { Int32($0) }
            #expect(pids.count == 2)
            for pid in pids {
                // Gone, or a zombie that its new parent has not collected yet.
                let state = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
                #expect(state == nil || state?.contains(") Z ") == true)
            }
        }
    }

    // The program must have come so far that it listens.
    @Test("a program is told of its soft time limit by a signal: one that listens ends by itself, another fails of it")
    func execSoftTimeout() async throws {
        let script = #"trap 'echo "{\"result\": \"tidy\"}"; exit 0' TERM; sleep 600 & wait"#
        let tidy = try #require(
            try await run(exec(script, timeout: .seconds(600), softTimeout: .seconds(3))).last)
        #expect(tidy.state == .completed)
        #expect(tidy.result == "tidy")
        let deaf = try #require(try await run(exec("exec sleep 600", softTimeout: .milliseconds(300))).last)
        #expect(deaf.state == .failed)
        #expect(deaf.message == "the attempt took longer than its soft time limit of 300ms")
    }

    @Test("a program that leaves a child behind is done when it has ended itself")
    func execOrphan() async throws {
        let final = try #require(try await run(exec(#"sleep 5 & echo '{"result": 1}'"#)).last)
        #expect(final.result == 1)
    }
}
