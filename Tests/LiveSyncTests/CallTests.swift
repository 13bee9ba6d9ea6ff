import EventBus
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import Testing

/// `sync.snapshot` and the question whether a channel may be followed.
@Suite(.timeLimit(.minutes(2)))
struct CallTests {
    private struct Fixture {
        let harness: Harness
        let calls: LiveSyncCalls
    }

    private func fixture(
        _ sql: String, rules: [AccessPolicy.Rule] = [.init(table: "main.*", roles: ["anyone"])],
        pageBytes: Int = 786_432
    ) async throws -> Fixture {
        let harness = try Harness()
        try harness.scratch.shell(sql)
        let source = harness.source(tables: nil, valueLimit: pageBytes)
        _ = try await source.open()
        await source.close()
        let stream = TableStream(bus: harness.bus, subjects: .standard)
        return Fixture(
            harness: harness,
            calls: LiveSyncCalls(
                sources: [source], access: AccessPolicy(rules: rules), logger: silent(),
                position: { try await stream.position() }))
    }

    private func snapshot(
        _ calls: LiveSyncCalls, _ parameters: JSONObject, caller: Caller = Caller()
    ) async throws -> JSONValue {
        try await calls.snapshot(
            RPCRequest(method: "sync.snapshot", parameters: .object(parameters), caller: caller))
    }

    private func pages(_ calls: LiveSyncCalls, _ parameters: JSONObject) async throws -> [[JSONValue]] {
        var pages: [[JSONValue]] = []
        var parameters = parameters
        repeat {
            let reply = try await snapshot(calls, parameters)
            pages.append(reply["rows"]?.arrayValue ?? [])
            parameters["after"] = reply["next"]
        } while parameters["after"].map({ !$0.isNull }) ?? false && pages.count < 100
        return pages
    }

    private func code(_ operation: () async throws -> some Any) async -> Int? {
        do {
            _ = try await operation()
            return nil
        } catch {
            return (error as? RPCError)?.code
        }
    }

    @Test("pages of every kind of table join to its rows")
    func paging() async throws {
        let fixture = try await fixture(
            """
            CREATE TABLE a(id INTEGER PRIMARY KEY, t); CREATE TABLE b(x TEXT, y REAL, t, PRIMARY KEY(y, x)) WITHOUT ROWID;
            CREATE TABLE c(t); CREATE TABLE d(code TEXT PRIMARY KEY); CREATE TABLE e(k BLOB PRIMARY KEY) WITHOUT ROWID;
            WITH RECURSIVE n(i) AS (SELECT -4 UNION ALL SELECT i + 1 FROM n WHERE i < 5) INSERT INTO a SELECT i, 'r' FROM n;
            INSERT INTO b SELECT char(70 + id), id % 2 + 0.1, NULL FROM a; INSERT INTO c SELECT id FROM a;
            INSERT INTO d SELECT iif(id % 3, NULL, id) FROM a; INSERT INTO e SELECT CAST(id AS BLOB) FROM a;
            """)
        for (table, key) in [("a", ["id"]), ("b", ["y", "x"]), ("c", ["rowid"]), ("d", ["code"]), ("e", ["k"])] {
            let parameters: JSONObject = ["table": .string("main.\(table)"), "limit": 3]
            let pages = try await pages(fixture.calls, parameters)
            #expect(pages.map(\.count) == [3, 3, 3, 1], "\(table)")
            #expect(Set(pages.joined()).count == 10, "\(table)")
            let reply = try await snapshot(fixture.calls, ["table": .string("main.\(table)")])
            #expect(reply["rows"] == .array(Array(pages.joined())) && reply["next"] == .null, "\(table)")
            #expect(reply["key"] == .array(key.map(JSONValue.string)), "\(table)")
        }
    }

    @Test("where narrows rows, by bound values only")
    func filters() async throws {
        let fixture = try await fixture(
            #"""
            CREATE TABLE posts(id INTEGER PRIMARY KEY, published BOOLEAN, author_id TEXT, "a&b" TEXT, any);
            INSERT INTO posts VALUES (1, true, '7', 'x=y', 5), (2, false, '8', '1'' OR ''1', '5'), (3, NULL, '42', 'a,b)', 5.5);
            """#)
        func ids(_ filter: String) async throws -> [Int64] {
            let reply = try await snapshot(fixture.calls, ["table": "main.posts", "where": .string(filter)])
            return (reply["rows"]?.arrayValue ?? []).compactMap { $0["id"]?.integerValue }
        }
        #expect(try await ids("published=eq.true") == [1])
        #expect(try await ids("published=not.eq.true") == [2])
        #expect(try await ids("published=is.null") == [3])
        #expect(try await ids("published=not.is.null&id=gte.2") == [2])
        #expect(try await ids("author_id=in.(7,42)") == [1, 3])
        #expect(try await ids("author_id=eq.7") == [1])
        #expect(try await ids("any=eq.5") == [1])
        #expect(try await ids("any=gt.5") == [2, 3])
        #expect(try await ids("a%26b=eq.x=y") == [1])
        #expect(try await ids("a%26b=eq.1' OR '1") == [2])
        #expect(try await ids(#"a%26b=in.("a,b)",z)"#) == [3])
        #expect(try await ids("author_id=in.()") == [])
        #expect(try await ids("") == [1, 2, 3])
        for bad in [
            "x", "=eq.1", "id=1", "id=like.1", "nope=eq.1", "id=is.true", "id=in.1", #"id=in.("a"#, "id=eq.%4",
            "id=eq.%FF",
            "id=eq.1&", "id=in.(a(b)", "1=1; DROP TABLE posts--", "rowid) OR (1=eq.1",
        ] {
            #expect(await code { try await ids(bad) } == 400, "\(bad)")
        }
    }

    @Test("columns are those asked for, and the key")
    func columns() async throws {
        let fixture = try await fixture(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, a, b); INSERT INTO posts VALUES (1, 2, x'ff');")
        let reply = try await snapshot(fixture.calls, ["table": "main.posts", "columns": ["b"]])
        #expect(reply["rows"] == [["id": 1, "b": ["hex": "ff"]]])
        #expect(await code { try await snapshot(fixture.calls, ["table": "main.posts", "columns": ["nope"]]) } == 400)
    }

    @Test(
        "malformed parameters and cursors are refused",
        arguments: [
            [:], ["table": 5], ["table": "main.posts", "limit": 0], ["table": "main.posts", "limit": "5"],
            ["table": "main.posts", "where": 5], ["table": "main.posts", "columns": [5]],
            ["table": "main.posts", "after": 5], ["table": "main.posts", "after": []],
            ["table": "main.posts", "after": [[1]]], ["table": "main.posts", "after": [1, 2]],
            ["table": "main.posts", "after": [["hex": "f"]]],
        ] as [JSONValue])
    func malformed(parameters: JSONValue) async throws {
        let fixture = try await fixture("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        #expect(await code { try await snapshot(fixture.calls, parameters.objectValue ?? [:]) } == 400)
    }

    @Test("a cursor over row numbers ends with VACUUM, which changes them")
    func vacuum() async throws {
        let fixture = try await fixture(
            "CREATE TABLE c(t); INSERT INTO c VALUES (1), (2), (3); DELETE FROM c WHERE t = 1;")
        let next = try await snapshot(fixture.calls, ["table": "main.c", "limit": 1])["next"]
        try fixture.harness.scratch.shell("VACUUM;")
        #expect(await code { try await snapshot(fixture.calls, ["table": "main.c", "after": next ?? .null]) } == 400)
    }

    @Test("pages stay within a message; a row too large for one leaves out values and says so")
    func largeRows() async throws {
        let fixture = try await fixture(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY, a, b);
            INSERT INTO posts VALUES (1, printf('%.*c', 3000, 'x'), 1), (2, printf('%.*c', 3000, 'x'), 2),
              (3, printf('%.*c', 9000, 'x'), 3), (4, printf('%.*c', 3500, 'x'), printf('%.*c', 3000, 'y'));
            """, pageBytes: 5000)
        let replies = try await pages(fixture.calls, ["table": "main.posts"])
        #expect(replies.map { $0.compactMap { $0["id"]?.integerValue } } == [[1], [2, 3], [4]])
        #expect(replies[1][1] == ["id": 3, "b": 3] && replies[2][0]["a"] == nil)
        let last = try await snapshot(fixture.calls, ["table": "main.posts", "where": "id=eq.4"])
        #expect(last["omitted"] == [["key": ["id": 4], "columns": ["a"]]])
    }

    @Test("rules decide who reads; rows narrows a snapshot and closes the channel")
    func access() async throws {
        let fixture = try await fixture(
            """
            CREATE TABLE posts(id INTEGER PRIMARY KEY, author_id INT); CREATE TABLE open(id INTEGER PRIMARY KEY);
            CREATE TABLE closed(id INTEGER PRIMARY KEY); INSERT INTO posts VALUES (1, 42), (2, 7);
            """,
            rules: [
                .init(
                    table: "main.posts", roles: ["authenticated"], rows: try RowCondition(parsing: "author_id = user")),
                .init(table: "main.posts", roles: ["editor"]), .init(table: "main.open", roles: ["anyone"]),
            ])
        func rows(_ table: String, _ caller: Caller) async throws -> Int? {
            try await snapshot(fixture.calls, ["table": .string(table)], caller: caller)["rows"]?.arrayValue?.count
        }
        func subscribe(_ channel: String, _ caller: Caller) async throws -> JSONValue {
            try await fixture.calls.subscribe(
                RPCRequest(method: "hook", parameters: ["channel": .string(channel)], caller: caller))
        }
        let (nobody, user, editor) = (Caller(), Caller(user: "42"), Caller(user: "1", roles: ["editor"]))
        let admin = Caller(user: "2", roles: ["admin"])
        #expect(await code { try await rows("main.posts", nobody) } == 403)
        #expect(try await rows("main.posts", user) == 1)
        #expect(try await rows("main.posts", editor) == 2)
        #expect(try await rows("main.open", nobody) == 0)
        #expect(try await rows("main.closed", admin) == 0)
        #expect(await code { try await rows("main.closed", editor) } == 403)
        for unknown in ["main.nope", "other.posts", "posts", "main._apus_meta", "main.sqlite_sequence", "main.POSTS"] {
            #expect(await code { try await rows(unknown, admin) } == 404, "\(unknown)")
            #expect(await code { try await subscribe("table:\(unknown)", admin) } == 404, "\(unknown)")
        }
        #expect(await code { try await subscribe("table:main.posts", user) } == 403)
        #expect(await code { try await subscribe("table:main.posts", nobody) } == 403)
        #expect(await code { try await subscribe("room:x", admin) } == 400)
        #expect(try await subscribe("table:main.posts", editor) == [:])
        #expect(try await subscribe("table:main.open", nobody) == [:])
    }

    @Test("a database that cannot be read is a call that may be tried again")
    func unavailable() async throws {
        let fixture = try await fixture("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let holder = fixture.harness.scratch
        try FileManager.default.removeItem(atPath: holder.path)
        try Data("garbage that is not a database at all".utf8).write(to: URL(fileURLWithPath: holder.path))
        #expect(await code { try await snapshot(fixture.calls, ["table": "main.posts"]) } == 503)
    }

    @Test("a snapshot says where to follow from, and which changes its rows hold")
    func position() async throws {
        let fixture = try await fixture("CREATE TABLE posts(id INTEGER PRIMARY KEY);")
        let service = fixture.harness.start(tables: nil)
        defer { service.cancel() }
        try await fixture.harness.ready("posts")
        try fixture.harness.scratch.shell("INSERT INTO posts VALUES (1), (2);")
        _ = try await fixture.harness.changes("posts", 2)
        let reply = try await snapshot(fixture.calls, ["table": "main.posts"])
        let state = try await fixture.harness.bus.streamState(Subjects.standard.historyStream(namespace: "table"))
        #expect(reply["position"] == ["epoch": .string(state.epoch), "offset": 2])
        #expect(reply["snapshot"] == ["xmin": "3", "xmax": "3", "xip": [], "seq": 2])
    }
}
