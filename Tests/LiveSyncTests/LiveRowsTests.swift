import EventBus
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import ServiceKit
import Testing

/// Another program's changes, as they arrive on the channel.
@Suite(.timeLimit(.minutes(2)))
struct LiveRowsTests {
    @Test("a change of another program is published with old and new values")
    func changes() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY, title TEXT);")
        let service = harness.start(tables: ["posts"])
        try await harness.ready("posts")
        try harness.scratch.shell(
            "INSERT INTO posts VALUES (7, 'old'); UPDATE posts SET title = 'new'; DELETE FROM posts;")
        let changes = try await harness.changes("posts", 3)
        service.cancel()
        #expect(changes.map(\.action) == [.created, .updated, .deleted])
        #expect(changes.allSatisfy { $0.model == "main.posts" && $0.key == ["id": 7] && $0.commitTime != nil })
        #expect(changes[0].instance == ["id": 7, "title": "old"] && changes[0].oldInstance == nil)
        #expect(changes[1].changes == [.init(column: "title", old: "old", new: "new")])
        #expect(changes[1].oldInstance == ["id": 7, "title": "old"])
        #expect(changes[2].instance == nil && changes[2].oldInstance == ["id": 7, "title": "new"])
        #expect(changes.map(\.sequence) == [1, 2, 3] && changes.map(\.transaction) == ["1", "2", "3"])
    }

    @Test("what happens while it is down is published when it comes back, once")
    func restart() async throws {
        let harness = try Harness()
        try harness.scratch.shell("PRAGMA journal_mode=wal; CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        for round in 1...4 {
            let service = harness.start(tables: ["posts"])
            let changes = try await harness.changes("posts", (round - 1) * 2)
            #expect(changes.compactMap { $0.key["id"]?.integerValue } == (0..<Int64(round - 1) * 2).map { $0 + 1 })
            try await harness.ready("posts")
            try harness.scratch.shell("INSERT INTO posts DEFAULT VALUES;")
            _ = try await harness.changes("posts", round * 2 - 1)
            service.cancel()
            _ = await service.result
            try harness.scratch.shell("INSERT INTO posts DEFAULT VALUES;")
        }
    }

    @Test("a table and a file that appear later are followed from their first row")
    func appearing() async throws {
        let harness = try Harness()
        let service = harness.start(tables: ["posts", "later"])
        defer { service.cancel() }
        try await eventually { harness.status.problems["source main"]?.code == .missing }
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (1);")
        #expect(try await harness.changes("posts", 1).map(\.brief) == [#"created {"id":1}"#])
        #expect(harness.readiness.all["table main.later"] == false)
        try harness.scratch.shell("CREATE TABLE later(id INTEGER PRIMARY KEY); INSERT INTO later VALUES (1);")
        #expect(try await harness.changes("later", 1).map(\.brief) == [#"created {"id":1}"#])
        try await harness.ready("posts", "later")
    }

    @Test("with all tables asked for, a new one is followed, and one that goes is told as truncated")
    func allTables() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE old(id INTEGER PRIMARY KEY); INSERT INTO old VALUES (1);")
        let service = harness.start(tables: nil)
        defer { service.cancel() }
        try await harness.ready("old")
        try harness.scratch.shell("CREATE TABLE new(id INTEGER PRIMARY KEY); INSERT INTO new VALUES (5);")
        #expect(try await harness.changes("new", 1).map(\.brief) == [#"created {"id":5}"#])
        try harness.scratch.shell("DROP TABLE old;")
        #expect(try await harness.changes("old", 1).map(\.brief) == ["truncated {}"])
    }

    @Test("a column added while it runs is in the changes after it, also in those made at once")
    func addedColumn() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (1);")
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell(
            "BEGIN; ALTER TABLE posts ADD COLUMN title DEFAULT 'x'; INSERT INTO posts VALUES (2, 'two'); COMMIT;")
        let first = try await harness.changes("posts", 1)
        #expect(first.map(\.instance) == [["id": 2, "title": "two"]])
        try harness.scratch.shell("UPDATE posts SET title = 'y' WHERE id = 1;")
        #expect(try await harness.changes("posts", 2).last?.changes == [.init(column: "title", old: "x", new: "y")])
    }

    @Test("a table made anew under its name, as migrations do, is told anew")
    func recreated() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (1), (2);")
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell(
            """
            BEGIN; CREATE TABLE posts2(id INTEGER PRIMARY KEY, t); INSERT INTO posts2 SELECT id, 'n' FROM posts WHERE id > 1;
            DROP TABLE posts; ALTER TABLE posts2 RENAME TO posts; COMMIT;
            """)
        let changes = try await harness.changes("posts", 2)
        #expect(changes.map(\.brief) == ["truncated {}", #"created {"id":2}"#])
        #expect(changes[1].instance == ["id": 2, "t": "n"])
        try harness.scratch.shell("INSERT INTO posts VALUES (3, 'm');")
        #expect(try await harness.changes("posts", 3).last?.instance == ["id": 3, "t": "m"])
    }

    @Test("a file put in place of the followed one is told anew, with greater numbers")
    func replacedFile() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell("INSERT INTO posts VALUES (1), (2);")
        _ = try await harness.changes("posts", 2)
        let other = try Scratch()
        try other.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (3);")
        try FileManager.default.removeItem(atPath: harness.scratch.path)
        try FileManager.default.moveItem(atPath: other.path, toPath: harness.scratch.path)
        let changes = try await harness.changes("posts", 4)
        #expect(changes.map(\.brief).suffix(2) == ["truncated {}", #"created {"id":3}"#])
        #expect(zip(changes, changes.dropFirst()).allSatisfy { $0.sequence ?? 0 < $1.sequence ?? 0 })
    }

    @Test("a database put back from a copy is told anew")
    func restoredCopy() async throws {
        let harness = try Harness()
        let path = harness.scratch.path
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        var service = harness.start(tables: ["posts"])
        try await harness.ready("posts")
        try harness.scratch.shell("INSERT INTO posts VALUES (1);")
        _ = try await harness.changes("posts", 1)
        service.cancel()
        _ = await service.result
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        service = harness.start(tables: ["posts"])
        try harness.scratch.shell("INSERT INTO posts VALUES (2);")
        _ = try await harness.changes("posts", 2)
        service.cancel()
        _ = await service.result
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
        // The same number as the change of the life that is gone.
        try harness.scratch.shell("INSERT INTO posts VALUES (9);")
        service = harness.start(tables: ["posts"])
        defer { service.cancel() }
        let changes = try await harness.changes("posts", 5)
        #expect(changes.map(\.brief).suffix(3) == ["truncated {}", #"created {"id":1}"#, #"created {"id":9}"#])
    }

    @Test("a change too large for a message leaves out its largest values and names them")
    func largeChange() async throws {
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY, small, large);")
        let service = harness.start(tables: ["posts"], maximumBytes: 8192)
        defer { service.cancel() }
        try await harness.ready("posts")
        try harness.scratch.shell(
            "INSERT INTO posts VALUES (1, 's', printf('%.*c', 9000, 'x')); UPDATE posts SET large = printf('%.*c', 5000, 'y'), small = 't';"
        )
        let changes = try await harness.changes("posts", 2)
        #expect(changes[0].instance == ["id": 1, "small": "s"] && changes[0].omitted == ["large"])
        #expect(changes[1].changes == [.init(column: "small", old: "s", new: "t")] && changes[1].omitted == ["large"])
    }
}
