import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import Testing

/// The triggers as the `sqlite3` shell runs them, read back from the change table.
@Suite(.timeLimit(.minutes(2)))
struct TriggerTests {
    /// Makes a database with `schema`, has its changes recorded, runs `sql` in the shell, and gives what was recorded.
    private func record(
        _ schema: String, _ sql: String, table: String = "posts", valueLimit: Int = 786_432
    ) async throws -> [String] {
        let harness = try Harness()
        try harness.scratch.shell(schema)
        let source = harness.source(tables: [table], valueLimit: valueLimit)
        _ = try await source.open()
        try harness.scratch.shell(sql)
        let text = try harness.scratch.shell(
            "SELECT op || ' ' || key || ' ' || ifnull(old,'-') || ' ' || ifnull(new,'-') FROM _apus_changes ORDER BY seq;"
        )
        await source.close()
        return text.split(separator: "\n").map(String.init)
    }

    @Test("inserts, updates and deletes of another program are recorded with old and new rows")
    func basics() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, title TEXT, n);",
            """
            INSERT INTO posts VALUES (1, 'a "quoted" ''text''', 9223372036854775807);
            UPDATE posts SET title = NULL, n = -1.5;
            DELETE FROM posts;
            """)
        #expect(
            recorded == [
                #"created {"id":1} - {"id":1,"title":"a \"quoted\" 'text'","n":9223372036854775807}"#,
                #"updated {"id":1} {"id":1,"title":"a \"quoted\" 'text'","n":9223372036854775807} {"id":1,"title":null,"n":-1.5}"#,
                #"deleted {"id":1} {"id":1,"title":null,"n":-1.5} -"#,
            ])
    }

    @Test("blobs, reals, infinity, control characters and zero bytes become JSON that reads back as the value")
    func values() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, v);",
            """
            INSERT INTO posts VALUES (1, x'00ff0a'), (2, 0.1), (3, 9e999), (4, -9e999), (5, 1.0043248504795342e+276),
              (6, 'a' || char(0) || char(10) || 'ü'), (7, x''), (8, 5.0);
            """)
        let values = try recorded.map { line in
            try JSONValue(parsing: String(line.split(separator: " ", maxSplits: 3)[3]))["v"]
        }
        #expect(
            values == [
                ["hex": "00ff0a"], 0.1, "Infinity", "-Infinity", 1.0043248504795342e+276, "a\u{0}\nü", ["hex": ""], 5.0,
            ])
    }

    @Test("a value over the limit is recorded by its length only")
    func largeValues() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, a, b);",
            "INSERT INTO posts VALUES (1, zeroblob(60), printf('%.*c', 101, 'x')), (2, zeroblob(50), printf('%.*c', 100, 'x'));",
            valueLimit: 100)
        #expect(recorded[0] == #"created {"id":1} - {"id":1,"a":{"omitted":60},"b":{"omitted":101}}"#)
        #expect(recorded[1].contains("0000") && recorded[1].contains("xxxx"))
    }

    @Test("REPLACE by the primary key is an update of that row")
    func replace() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, title TEXT); INSERT INTO posts VALUES (1, 'a');",
            "REPLACE INTO posts VALUES (1, 'b'); REPLACE INTO posts VALUES (2, 'c');")
        #expect(
            recorded == [
                #"updated {"id":1} {"id":1,"title":"a"} {"id":1,"title":"b"}"#,
                #"created {"id":2} - {"id":2,"title":"c"}"#,
            ])
    }

    @Test("REPLACE tells every row that a unique constraint makes it remove", arguments: [false, true])
    func replaceOthers(recursive: Bool) async throws {
        let recorded = try await record(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT);
            CREATE UNIQUE INDEX by_b ON posts(b COLLATE NOCASE);
            INSERT INTO posts VALUES (1, 'x', 'One'), (2, 'y', 'Two'), (3, 'z', 'Three');
            """,
            """
            PRAGMA recursive_triggers = \(recursive ? "on" : "off");
            REPLACE INTO posts VALUES (9, 'x', 'TWO');
            """)
        #expect(
            Set(recorded.dropLast()) == [
                #"deleted {"id":1} {"id":1,"a":"x","b":"One"} -"#, #"deleted {"id":2} {"id":2,"a":"y","b":"Two"} -"#,
            ])
        #expect(recorded.last == #"created {"id":9} - {"id":9,"a":"x","b":"TWO"}"#)
        #expect(recorded.count == 3)
    }

    @Test("unique indexes over expressions and over some rows count too")
    func replaceByIndexes() async throws {
        let recorded = try await record(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY, a TEXT, n INT, active INT, g AS (n * 2));
            CREATE UNIQUE INDEX by_lower ON posts(lower(a) /* of (text), */);
            CREATE UNIQUE INDEX by_active ON posts(n) WHERE active = 1 AND a <> 'where)';
            INSERT INTO posts VALUES (1, 'A', 1, 0), (2, 'B', 5, 1), (3, 'C', 5, 0);
            """,
            "REPLACE INTO posts(id, a, n, active) VALUES (8, 'a', 7, 0); REPLACE INTO posts(id, a, n, active) VALUES (9, 'd', 5, 1);"
        )
        #expect(
            recorded == [
                #"deleted {"id":1} {"id":1,"a":"A","n":1,"active":0,"g":2} -"#,
                #"created {"id":8} - {"id":8,"a":"a","n":7,"active":0,"g":14}"#,
                #"deleted {"id":2} {"id":2,"a":"B","n":5,"active":1,"g":10} -"#,
                #"created {"id":9} - {"id":9,"a":"d","n":5,"active":1,"g":10}"#,
            ])
    }

    @Test("an ignored insert and an upsert tell no row removed, then or later")
    func ignoreAndUpsert() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, a UNIQUE, n); INSERT INTO posts VALUES (1, 'x', 1);",
            """
            INSERT OR IGNORE INTO posts VALUES (2, 'x', 2);
            INSERT INTO posts VALUES (1, 'y', 3) ON CONFLICT(id) DO UPDATE SET n = excluded.n;
            INSERT OR IGNORE INTO posts VALUES (2, 'x', 2);
            DELETE FROM posts WHERE id = 1;
            INSERT INTO posts VALUES (3, 'z', 3);
            """)
        #expect(
            recorded == [
                #"updated {"id":1} {"id":1,"a":"x","n":1} {"id":1,"a":"x","n":3}"#,
                #"deleted {"id":1} {"id":1,"a":"x","n":3} -"#,
                #"created {"id":3} - {"id":3,"a":"z","n":3}"#,
            ])
    }

    @Test("a changed key is the old row's deletion and the new one's creation")
    func changedKey() async throws {
        let recorded = try await record(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, t); INSERT INTO posts VALUES (1, 'a'), (2, 'b');",
            "UPDATE posts SET id = 7 WHERE id = 1; UPDATE OR REPLACE posts SET id = 2 WHERE id = 7;")
        #expect(
            recorded == [
                #"deleted {"id":1} {"id":1,"t":"a"} -"#, #"created {"id":7} - {"id":7,"t":"a"}"#,
                #"deleted {"id":7} {"id":7,"t":"a"} -"#, #"updated {"id":2} {"id":2,"t":"b"} {"id":2,"t":"a"}"#,
            ])
    }

    @Test("composite keys, WITHOUT ROWID, and keys that are equal only to a collation")
    func compositeKeys() async throws {
        let recorded = try await record(
            """
            CREATE TABLE posts(a TEXT COLLATE NOCASE, b INT, t, PRIMARY KEY (a, b DESC)) WITHOUT ROWID;
            INSERT INTO posts VALUES ('x', 1, 'old');
            """,
            "REPLACE INTO posts VALUES ('X', 1, 'new'); UPDATE posts SET t = 'newer'; DELETE FROM posts WHERE a = 'x';")
        #expect(
            recorded == [
                #"deleted {"a":"x","b":1} {"a":"x","b":1,"t":"old"} -"#,
                #"created {"a":"X","b":1} - {"a":"X","b":1,"t":"new"}"#,
                #"updated {"a":"X","b":1} {"a":"X","b":1,"t":"new"} {"a":"X","b":1,"t":"newer"}"#,
                #"deleted {"a":"X","b":1} {"a":"X","b":1,"t":"newer"} -"#,
            ])
    }

    @Test("tables without a primary key, and rows whose key is NULL, are keyed by the row number")
    func rowNumbers() async throws {
        #expect(
            try await record(
                "CREATE TABLE posts(rowid TEXT, t); INSERT INTO posts VALUES ('mine', 'a');",
                "INSERT INTO posts VALUES (NULL, 'b'); UPDATE posts SET t = 'c' WHERE t = 'a';")
                == [
                    #"created {"_rowid_":2} - {"rowid":null,"t":"b"}"#,
                    #"updated {"_rowid_":1} {"rowid":"mine","t":"a"} {"rowid":"mine","t":"c"}"#,
                ])
        #expect(
            try await record(
                "CREATE TABLE posts(code TEXT PRIMARY KEY, t);",
                "INSERT INTO posts VALUES (NULL, 1), (NULL, 2), ('x', 3); UPDATE posts SET t = 4 WHERE rowid = 2;")
                == [
                    #"created {"code":null,"rowid":1} - {"code":null,"t":1}"#,
                    #"created {"code":null,"rowid":2} - {"code":null,"t":2}"#,
                    #"created {"code":"x"} - {"code":"x","t":3}"#,
                    #"updated {"code":null,"rowid":2} {"code":null,"t":2} {"code":null,"t":4}"#,
                ])
    }

    @Test("names that need quoting, and more columns than a function takes arguments")
    func names() async throws {
        let columns = (1...300).map { "\"c \($0)\"" }.joined(separator: ", ")
        let recorded = try await record(
            #"CREATE TABLE "order ""x'y"("the ""id""" INTEGER PRIMARY KEY, "select" TEXT, "it's" TEXT, \#(columns));"#,
            #"INSERT INTO "order ""x'y"("select", "it's", "c 300") VALUES ('s', 't', 'last');"#, table: "order \"x'y")
        let row = try JSONValue(parsing: String(try #require(recorded.first).split(separator: " - ")[1]))
        #expect(row["the \"id\""] == 1 && row["select"] == "s" && row["it's"] == "t" && row["c 300"] == "last")
        #expect(row.objectValue?.count == 303)
    }

    @Test("deleting everything, rows that go by a foreign key, and rolled back transactions")
    func manyRows() async throws {
        let recorded = try await record(
            """
            CREATE TABLE users(id INTEGER PRIMARY KEY);
            CREATE TABLE posts(id INTEGER PRIMARY KEY, u REFERENCES users ON DELETE CASCADE);
            INSERT INTO users VALUES (1); INSERT INTO posts VALUES (1, 1), (2, 1), (3, NULL);
            """,
            """
            PRAGMA foreign_keys = on;
            BEGIN; DELETE FROM posts; ROLLBACK;
            DELETE FROM users;
            DELETE FROM posts;
            """)
        #expect(
            recorded.map { $0.split(separator: " ").prefix(2).joined(separator: " ") } == [
                #"deleted {"id":1}"#, #"deleted {"id":2}"#, #"deleted {"id":3}"#,
            ])
    }

    @Test("what the application's own trigger writes is recorded after what made it run")
    func otherTriggers() async throws {
        let recorded = try await record(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY, t, stamp);
            CREATE TRIGGER stamp AFTER INSERT ON posts BEGIN UPDATE posts SET stamp = 'now' WHERE id = NEW.id; END;
            """, "INSERT INTO posts(t) VALUES ('a');")
        #expect(
            recorded == [
                #"created {"id":1} - {"id":1,"t":"a","stamp":null}"#,
                #"updated {"id":1} {"id":1,"t":"a","stamp":null} {"id":1,"t":"a","stamp":"now"}"#,
            ])
    }
}
