import EventBus
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import Synchronization
import TestKit
import Testing

/// Several programs write at random while the bus fails at random and live sync is restarted; whoever takes a snapshot and
/// follows the channel must end with the database's table, and every change must have been published once.
@Suite(.timeLimit(.minutes(5)))
struct ConvergenceTests {
    private static let schema = """
        CREATE TABLE posts(id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INT);
        CREATE TABLE pairs(x TEXT COLLATE NOCASE, y INT, v, PRIMARY KEY (x, y)) WITHOUT ROWID;
        CREATE UNIQUE INDEX pairs_v ON pairs(v) WHERE v > 3;
        """

    @Test("a snapshot and the changes after it are the table, whatever happens", arguments: 0..<6)
    func convergence(seed: Int) async throws {
        let harness = try Harness()
        if seed.isMultiple(of: 2) { try harness.scratch.shell("PRAGMA journal_mode=wal;") }
        try harness.scratch.shell(Self.schema)
        let chance = Mutex(SeededGenerator(seed: UInt64(seed)))
        let bus = FaultyBus(harness.bus) { call in
            guard call.operation.isStep else { return nil }
            return chance.withLock { generator in
                Int.random(in: 0..<25, using: &generator) == 0
                    ? FaultyBus.Fault.outages.randomElement(using: &generator) : nil
            }
        }
        var service = harness.start(tables: ["posts", "pairs"], on: bus)
        try await harness.ready("posts", "pairs")
        let scripts = (0..<3).map { Self.script(seed: UInt64(seed * 100 + $0)) }
        async let writers: Void = withThrowingTaskGroup { group in
            for script in scripts { group.addTask { try await Self.runInBackground(script, harness.scratch) } }
            try await group.waitForAll()
        }
        // Some snapshots are taken meanwhile.
        var copies: [Copy] = []
        for _ in 0..<3 { copies.append(try await Self.snapshot("posts", harness)) }
        // Killed before it could save how far it came, and started again.
        service.cancel()
        _ = await service.result
        try harness.scratch.shell("UPDATE _apus_meta SET value = max(0, value - 300) WHERE name = 'published';")
        service = harness.start(tables: ["posts", "pairs"], on: bus)
        defer { service.cancel() }
        copies.append(try await Self.snapshot("posts", harness))
        try await writers
        try harness.scratch.shell("INSERT INTO posts(a, n) VALUES ('the last', 0);")
        let total = try #require(
            UInt64(
                try harness.scratch.shell("SELECT seq FROM sqlite_sequence WHERE name = '_apus_changes';")
                    .trimmingCharacters(in: .whitespacesAndNewlines)))
        try await eventually { try await harness.published("posts").last?.sequence == total }

        let (posts, pairs) = (try await harness.published("posts"), try await harness.published("pairs"))
        let sequences = (posts + pairs).compactMap(\.sequence).sorted()
        #expect(sequences == Array(1...total), "seed \(seed): each change once")
        #expect(posts.map(\.sequence) == posts.map(\.sequence).sorted { $0 ?? 0 < $1 ?? 0 }, "seed \(seed): in order")
        // Read by the shell, without anything of ours.
        let table = try harness.scratch.rows("posts", key: "id")
        for copy in copies + [Copy()] {
            #expect(copy.applying(posts) == table, "seed \(seed): changes after a snapshot")
        }
        #expect(
            Copy().applying(pairs) == (try harness.scratch.rows("pairs", key: "json_array(x, y)")),
            "seed \(seed): pairs")
        #expect(try await Self.snapshot("posts", harness).rows == table, "seed \(seed): a last snapshot")
    }

    /// What a client holds: rows by key, each with the last change that it is known to have.
    struct Copy {
        var rows: [String: JSONValue] = [:]
        var known: [String: UInt64] = [:]
        /// Rows whose page does not name them are as of this change or a later one.
        var pages: [UInt64] = []

        static func name(_ key: JSONObject) -> String {
            let values = key.map(\.value)
            return values.count == 1 ? values[0].description : JSONValue.array(values).description
        }

        func applying(_ changes: [RowChange]) -> [String: JSONValue] {
            var rows = rows
            let first = pages.min() ?? 0
            for change in changes {
                let name = Copy.name(change.key)
                guard let sequence = change.sequence, sequence > known[name] ?? first else { continue }
                switch change.action {
                case .created, .updated: rows[name] = change.instance.map(JSONValue.object)
                case .deleted: rows[name] = nil
                case .truncated: rows = [:]
                }
            }
            return rows
        }
    }

    private static func snapshot(_ table: String, _ harness: Harness) async throws -> Copy {
        let calls = LiveSyncCalls(
            sources: [harness.source(tables: nil)], access: AccessPolicy(), logger: silent(),
            position: { try await TableStream(bus: harness.bus, subjects: .standard).position() })
        var copy = Copy()
        var after = JSONValue.null
        repeat {
            let reply = try await calls.snapshot(
                RPCRequest(
                    method: "sync.snapshot",
                    parameters: ["table": .string("main.\(table)"), "limit": 7, "after": after],
                    caller: Caller(user: "1", roles: ["admin"])))
            let held = UInt64(reply["snapshot"]?["seq"]?.integerValue ?? 0)
            copy.pages.append(held)
            for row in reply["rows"]?.arrayValue ?? [] {
                let name = Copy.name(["id": row["id"] ?? .null])
                copy.rows[name] = row
                copy.known[name] = held
            }
            after = reply["next"] ?? .null
        } while !after.isNull
        return copy
    }

    /// The shell blocks, so it has a thread of its own.
    private static func runInBackground(_ script: String, _ scratch: Scratch) async throws {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { _ = try scratch.shell(script) }) }
        }
    }

    private static func script(seed: UInt64) -> String {
        var generator = SeededGenerator(seed: seed)
        func number(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
        var sql = ""
        for _ in 0..<40 {
            sql += "BEGIN IMMEDIATE;\n"
            for _ in 0...number(4) {
                let (id, text, n) = (number(30), "'t\(number(30))'", number(1000))
                let (x, y, v) = (["'k'", "'K'", "'l'"][number(3)], number(6), number(8))
                sql +=
                    [
                        "INSERT OR IGNORE INTO posts(a, n) VALUES (\(text), \(n))",
                        "REPLACE INTO posts VALUES (\(id), \(text), \(n))",
                        "INSERT INTO posts VALUES (\(id), \(text), \(n)) ON CONFLICT DO UPDATE SET n = excluded.n",
                        "UPDATE posts SET n = n + 1 WHERE id % 7 = \(number(7))",
                        "UPDATE OR REPLACE posts SET a = \(text) WHERE id = \(id)",
                        "UPDATE OR REPLACE posts SET id = id + 3 WHERE id = \(id)",
                        "DELETE FROM posts WHERE id = \(id)",
                        number(20) == 0 ? "DELETE FROM posts" : "SELECT 1",
                        "REPLACE INTO pairs VALUES (\(x), \(y), \(v))",
                        "UPDATE OR REPLACE pairs SET y = y + 1, x = \(x) WHERE y = \(y)",
                        "UPDATE OR IGNORE pairs SET v = \(v) WHERE y = \(y)",
                    ][number(11)] + ";\n"
            }
            sql += number(5) == 0 ? "ROLLBACK;\n" : "COMMIT;\n"
        }
        return sql
    }
}
