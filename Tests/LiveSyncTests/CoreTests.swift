import Events
import JSON
import LiveSyncCore
import Testing

@Suite struct IndexTextTests {
    @Test(
        "terms and condition are read through quotes, comments and nesting",
        arguments: [
            ("CREATE UNIQUE INDEX i ON t(a, b DESC)", ["a", "b"], nil),
            (
                #"CREATE UNIQUE INDEX "i (" ON [t)](lower("a,b") COLLATE NOCASE ASC, x'00') WHERE c = ')' AND 1e-5 < d -- end"#,
                [#"lower("a,b")"#, "x'00'"], "c = ')' AND 1e-5 < d"
            ),
            (
                "create unique index i on t(substr(a, 1, 2) /* , */ , b) where b not null", ["substr(a, 1, 2)", "b"],
                "b not null"
            ),
            ("CREATE INDEX i ON t(a", nil, nil), ("", nil, nil),
        ] as [(String, [String]?, String?)])
    func reading(sql: String, terms: [String]?, predicate: String?) {
        let text = IndexText(sql: sql)
        #expect(text?.terms == terms)
        #expect(text?.predicate == predicate)
    }

    @Test("no prefix of a statement traps")
    func prefixes() {
        let sql = #"CREATE UNIQUE INDEX "i" ON t(lower('a''b') COLLATE NOCASE, [c]) /* x */ WHERE `d` > 1"#
        for length in 0...sql.count { _ = IndexText(sql: String(sql.prefix(length))) }
    }
}

@Suite struct RowConditionTests {
    @Test(
        "what is not a condition is refused",
        arguments: [
            "", "a", "a =", "= user", "a = b", "a = user and", "a = user or b = 1", "a = 'x", "a == 1",
            "a = user b = 1",
        ])
    func malformed(text: String) {
        #expect(throws: RequestProblem.self) { try RowCondition(parsing: text) }
    }

    @Test("a condition on the user holds for nobody without one")
    func withoutUser() throws {
        let rule = AccessPolicy.Rule(
            table: "main.t", roles: ["anyone"],
            rows: try RowCondition(parsing: #""the owner" = user AND kind = 'it''s' and n = 1"#))
        let policy = AccessPolicy(rules: [rule])
        #expect(policy.decide(model: "main.t", user: nil, roles: []) == .nothing)
        #expect(
            policy.decide(model: "main.t", user: "42", roles: [])
                == .rows([
                    RowFilter([
                        .init(column: "the owner", comparison: .equal, values: ["42"]),
                        .init(column: "kind", comparison: .equal, values: ["it's"]),
                        .init(column: "n", comparison: .equal, values: ["1"]),
                    ])
                ]))
    }
}

@Suite struct AccessPolicyTests {
    @Test("without a rule only admins read; several rules add up")
    func rules() throws {
        let mine = try RowCondition(parsing: "author = user")
        let policy = AccessPolicy(rules: [
            .init(table: "main.*", roles: ["staff"]), .init(table: "main.a", roles: ["authenticated"], rows: mine),
            .init(table: "*", roles: ["auditor"]),
        ])
        #expect(policy.decide(model: "main.b", user: "1", roles: []) == .nothing)
        #expect(policy.decide(model: "main.a", user: "1", roles: ["staff"]) == .everything)
        #expect(policy.decide(model: "mainly.b", user: "1", roles: ["staff"]) == .nothing)
        #expect(policy.decide(model: "other.b", user: nil, roles: ["auditor"]) == .everything)
        #expect(policy.decide(model: "other.b", user: nil, roles: ["admin"]) == .everything)
        #expect(AccessPolicy().decide(model: "main.a", user: "1", roles: ["user"]) == .nothing)
    }
}

@Suite struct PublicationLedgerTests {
    @Test("message ids name a change, and others do not")
    func messageIDs() {
        let origin = PublicationLedger.Origin(database: "a:b", sequence: 18_446_744_073_709_551_615)
        #expect(PublicationLedger.Origin(messageID: origin.messageID) == origin)
        for text in ["", ":", ":5", "a:", "a:-1", "a:x", "a", "a:18446744073709551616"] {
            #expect(PublicationLedger.Origin(messageID: text) == nil, "\(text)")
        }
    }

    @Test("a change is held once it or a later one of the same database is")
    func holding() {
        let ledger = PublicationLedger(lastOnSubject: 3, origin: .init(database: "a", sequence: 5))
        #expect(ledger.holds(.init(database: "a", sequence: 5)) && ledger.holds(.init(database: "a", sequence: 4)))
        #expect(!ledger.holds(.init(database: "a", sequence: 6)) && !ledger.holds(.init(database: "b", sequence: 4)))
    }
}

@Suite struct ChangeEncodingTests {
    private func change(_ old: RecordedChange.RowText, _ new: RecordedChange.RowText, action: String = "updated")
        -> RecordedChange
    {
        RecordedChange(
            sequence: 9, table: "t", action: action, key: #"{"id":1}"#, old: old, new: new,
            recordedAt: "2026-01-01T00:00:00.500Z")
    }

    @Test("a row change says what differs and reads back as itself")
    func encoding() throws {
        let outcome = ChangeEncoding.encode(
            change(.text(#"{"id":1,"a":1,"b":"x"}"#), .text(#"{"id":1,"a":2,"b":"x"}"#)), schema: "main",
            maximumBytes: 5000)
        guard case .change(let change, let payload) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(change.changes == [.init(column: "a", old: 1, new: 2)])
        #expect(try RowChange(json: JSONValue(parsing: payload)) == change)
        #expect(change.json["commit_time"] == "2026-01-01T00:00:00.500Z" && change.json["transaction"] == "9")
    }

    @Test("a value left out of one row is left out of both, and named")
    func omitted() {
        let outcome = ChangeEncoding.encode(
            change(.text(#"{"id":1,"a":{"omitted":900}}"#), .text(#"{"id":1,"a":"short"}"#)), schema: "main",
            maximumBytes: 5000)
        guard case .change(let change, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(change.omitted == ["a"] && change.instance == ["id": 1] && change.oldInstance == ["id": 1])
        #expect(change.changes.isEmpty)
    }

    @Test("the payload never exceeds the limit", arguments: [300, 400, 1000, 5000])
    func limit(bytes: Int) {
        let row = #"{"id":1,"a":"\#(String(repeating: "x", count: 900))","b":"\#(String(repeating: "y", count: 90))"}"#
        let outcome = ChangeEncoding.encode(change(.text(row), .text(row)), schema: "main", maximumBytes: bytes)
        guard case .change(let change, let payload) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(payload.count <= bytes)
        #expect(change.key == ["id": 1])
    }

    @Test("what cannot be published says why")
    func unusable() {
        func isUnusable(_ change: RecordedChange, _ bytes: Int = 5000) -> Bool {
            if case .unusable = ChangeEncoding.encode(change, schema: "main", maximumBytes: bytes) {
                true
            } else {
                false
            }
        }
        #expect(isUnusable(change(.none, .none, action: "exploded")))
        #expect(isUnusable(change(.text("{"), .none)))
        #expect(isUnusable(change(.text("[]"), .none)))
        #expect(isUnusable(change(.none, .none), 20))
        #expect(!isUnusable(change(.tooLarge, .tooLarge)))
    }
}

@Suite struct RowChangeTests {
    @Test("a truncation, and members that nobody knows, are read")
    func reading() throws {
        let change = RowChange(model: "main.t", action: .truncated, key: [:])
        #expect(try RowChange(json: change.json) == change)
        #expect(
            try RowChange(json: ["model": "m.t", "action": "deleted", "key": ["id": 1], "more": 1]).action == .deleted)
    }

    @Test(
        "what is no row change is refused",
        arguments: [
            [:], 5, ["model": "m", "action": "deleted"], ["model": "m", "action": "x", "key": [:]],
            ["model": 1, "action": "deleted", "key": [:]],
            ["model": "m", "action": "updated", "key": [:], "changes": ["a": [1]]],
        ] as [JSONValue])
    func refusing(json: JSONValue) {
        #expect(throws: RowChange.Invalid.self) { try RowChange(json: json) }
    }
}
