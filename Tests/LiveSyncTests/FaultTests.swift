import EventBus
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import ServiceKit
import Synchronization
import TestKit
import Testing

/// Databases and buses that do not do what they should.
@Suite(.timeLimit(.minutes(2)))
struct FaultTests {
    private func problem(_ source: SQLiteSource) async -> SourceError? {
        do {
            _ = try await source.open()
            await source.close()
            return nil
        } catch {
            return error as? SourceError
        }
    }

    @Test("a file that is missing, a folder, or no database is told as such")
    func badFiles() async throws {
        let harness = try Harness()
        let path = harness.scratch.path
        #expect(await problem(harness.source(tables: nil))?.code == .missing)
        #expect(!FileManager.default.fileExists(atPath: path), "it must not be made")
        try Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31) }).write(to: URL(fileURLWithPath: path))
        #expect(await problem(harness.source(tables: nil))?.code == .notADatabase)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        #expect(await problem(harness.source(tables: nil))?.code == .notADatabase)
    }

    @Test("a service with a bad file goes on as soon as the file is good")
    func recovers() async throws {
        let harness = try Harness()
        try Data("this is not a database, whatever it is called".utf8).write(
            to: URL(fileURLWithPath: harness.scratch.path))
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await eventually { harness.status.problems["source main"]?.code == .notADatabase }
        #expect(harness.readiness.all["source main"] == false)
        try FileManager.default.removeItem(atPath: harness.scratch.path)
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        try await harness.ready("posts")
        try harness.scratch.shell("INSERT INTO posts VALUES (1);")
        #expect(try await harness.changes("posts", 1).count == 1)
    }

    @Test("views, virtual tables and tables whose rows cannot be told apart are refused one by one")
    func unsupported() async throws {
        let harness = try Harness()
        try harness.scratch.shell(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT * FROM posts;
            CREATE TABLE hidden(rowid, _rowid_, oid); CREATE VIRTUAL TABLE words USING fts5(t);
            CREATE TABLE "no..channel"(id INTEGER PRIMARY KEY);
            """)
        let source = harness.source(tables: ["posts", "v", "hidden", "words", "no..channel"])
        #expect(try await source.open().tables == ["posts"])
        #expect(
            harness.status.problems.mapValues(\.code) == [
                "table main.v": .unsupported, "table main.hidden": .unsupported, "table main.words": .unsupported,
                "table main.no..channel": .unsupported,
            ])
        await source.close()
    }

    @Test("a locked file holds changes up, not more")
    func locked() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await harness.ready("posts")
        let holder = try SQLiteHolder(harness.scratch.path)
        try holder.execute("BEGIN EXCLUSIVE; INSERT INTO posts VALUES (1);")
        try await eventually { harness.status.problems["source main"]?.code == .locked }
        try holder.execute("COMMIT;")
        #expect(try await harness.changes("posts", 1).map(\.brief) == [#"created {"id":1}"#])
        try await harness.ready("posts")
    }

    @Test("of two processes on one file one publishes, and the other takes over when it ends")
    func twoProcesses() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let first = harness.source(tables: ["posts"])
        _ = try await first.open()
        let second = harness.source(tables: ["posts"])
        #expect(await problem(second)?.code == .heldElsewhere)
        #expect(try await second.follows(table: "posts"), "it answers calls all the same")
        await first.close()
        #expect(await problem(second) == nil)
    }

    @Test("published changes are removed from the change table, but for the newest")
    func bounded() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let source = harness.source(tables: ["posts"])
        _ = try await source.open()
        try harness.scratch.shell(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO posts SELECT i FROM n;"
        )
        var last: UInt64 = 0
        while last < 1500 { last = try await source.next().last?.sequence ?? last }
        await source.confirm(last)
        await source.close()
        #expect(
            try harness.scratch.shell("SELECT count(*), min(seq) FROM _apus_changes;") == "1000|501\n")
        #expect(try await source.open().published == 1500)
        await source.close()
    }

    @Test(
        "a publish that fails at any point, before or after the server took it, comes out once", arguments: 1...12,
        FaultyBus.Fault.outages)
    func failingBus(step: Int, fault: FaultyBus.Fault) async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let calls = Mutex(0)
        let bus = FaultyBus(harness.bus) { call in
            guard call.operation.isStep else { return nil }
            return calls.withLock { count in
                count += 1
                return count == step ? fault : nil
            }
        }
        let service = harness.start(tables: ["posts"], on: bus)
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell("INSERT INTO posts VALUES (1), (2), (3);")
        _ = try await harness.changes("posts", 3)
        try harness.scratch.shell("INSERT INTO posts VALUES (4);")
        #expect(try await harness.changes("posts", 4).map(\.sequence) == [1, 2, 3, 4])
    }

    @Test("a channel that somebody else publishes to as well still gets each change once")
    func foreignMessages() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let service = harness.start(tables: ["posts"])
        try await harness.ready("posts")
        let foreign = BusMessage(
            subject: "apus.channel.table.main.posts",
            payload: RowChange(model: "main.posts", action: .truncated, key: [:]).json.serialized())
        for id in 1...3 {
            try harness.scratch.shell("INSERT INTO posts VALUES (\(id));")
            _ = try await harness.changes("posts", id * 2 - 1)
            try await harness.bus.append(foreign)
        }
        service.cancel()
        _ = await service.result
        try harness.scratch.shell(
            "UPDATE _apus_meta SET value = 0 WHERE name = 'published'; INSERT INTO posts VALUES (4);")
        let again = harness.start(tables: ["posts"])
        defer { again.cancel() }
        let sequences = try await harness.changes("posts", 7).map(\.sequence)
        #expect(sequences == [1, nil, 2, nil, 3, nil, 4])
    }

    @Test("a recorded change that cannot be read goes to the dead letters, and the rest goes on")
    func unreadable() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell(
            """
            INSERT INTO _apus_changes("table", op, key, at) VALUES ('posts', 'created', 'no json', 'now');
            INSERT INTO posts VALUES (1);
            """)
        #expect(try await harness.changes("posts", 1).map(\.brief) == [#"created {"id":1}"#])
        let dead = try await harness.bus.lastMessage(
            in: Subjects.standard.deadStream, subject: "apus.dead.row.main.posts")
        #expect(dead?.message.headers[HeaderName.reason] == "the recorded key is not a JSON object")
    }
}

/// Another program that keeps its connection open: a shell that is fed line by line.
private final class SQLiteHolder {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ path: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sqlite3", "-batch", path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try execute(".timeout 10000")
    }

    deinit {
        input.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }

    /// Returns when it has been done.
    func execute(_ sql: String) throws {
        input.fileHandleForWriting.write(Data((sql + "\nSELECT 'done';\n").utf8))
        var text = ""
        while !text.contains("done") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw Scratch.ShellFailed(text: text) }
            text += String(decoding: data, as: UTF8.self)
        }
    }
}
