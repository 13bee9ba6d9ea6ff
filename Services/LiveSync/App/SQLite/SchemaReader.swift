internal import GRDB
internal import LiveSyncCore

/// Reads from an SQLite database what there is to follow.
struct SchemaReader {
    let database: Database

    var version: Int64 {
        get throws { try Int64.fetchOne(database, sql: "PRAGMA main.schema_version") ?? 0 }
    }

    /// A table, view or virtual table.
    struct Entry {
        let name: String
        /// `table`, `view`, `virtual` or `shadow`.
        let kind: String
        let isWithoutRowID: Bool
    }

    /// Everything that has rows, but for SQLite's own tables and ours.
    func entries() throws -> [Entry] {
        try Row.fetchAll(
            database, sql: "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name"
        )
        .map { row in Entry(name: row["name"], kind: row["type"], isWithoutRowID: row["wr"]) }
        .filter { !$0.name.hasPrefix("sqlite_") && !$0.name.hasPrefix(ChangeTables.namePrefix) }
    }

    /// - Throws: ``SourceError`` with code `unsupported` for what has no rows that can be told apart.
    func describe(_ entry: Entry) throws -> TableDescription {
        guard entry.kind == "table" else {
            throw SourceError(
                .unsupported, "\(entry.name) is a \(entry.kind), and only ordinary tables can be followed")
        }
        let columns = try Row.fetchAll(
            database, sql: "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?, 'main')", arguments: [entry.name])
        let key = columns.filter { ($0["pk"] as Int) > 0 }.sorted { ($0["pk"] as Int) < ($1["pk"] as Int) }
        let primaryKey = key.map { $0["name"] as String }
        let indexes = try Row.fetchAll(
            database, sql: #"SELECT name, "unique", origin, partial FROM pragma_index_list(?, 'main')"#,
            arguments: [entry.name])
        // `INTEGER PRIMARY KEY DESC` is, by an old mistake, no alias of the row number; it then has an index.
        let isRowNumber =
            key.count == 1 && (key[0]["type"] as String).uppercased() == "INTEGER"
            && !indexes.contains { ($0["origin"] as String) == "pk" }
        let identity: TableDescription.Identity
        if entry.isWithoutRowID || isRowNumber {
            identity = .columns(primaryKey)
        } else {
            let taken = Set(columns.map { ($0["name"] as String).lowercased() })
            guard let name = ["rowid", "_rowid_", "oid"].first(where: { !taken.contains($0) }) else {
                throw SourceError(
                    .unsupported,
                    "\(entry.name) has columns named rowid, _rowid_ and oid, so its rows cannot be told apart; give it an integer primary key"
                )
            }
            identity = .rowID(name)
        }
        guard key.count <= ChangeTables.identityWidth else {
            throw SourceError(
                .unsupported, "\(entry.name) has more than \(ChangeTables.identityWidth) columns in its primary key")
        }
        return TableDescription(
            name: entry.name,
            columns: columns.filter { ($0["hidden"] as Int) != 1 }.map { column in
                TableDescription.Column(
                    name: column["name"], affinity: Affinity(declaredType: column["type"]),
                    isGenerated: (column["hidden"] as Int) > 1)
            },
            primaryKey: primaryKey, identity: identity,
            uniqueIndexes: try indexes.filter { $0["unique"] }.compactMap { try uniqueIndex($0["name"]) })
    }

    private func uniqueIndex(_ name: String) throws -> TableDescription.UniqueIndex? {
        let terms = try Row.fetchAll(
            database, sql: "SELECT cid, name, coll FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno",
            arguments: [name])
        let text = try String.fetchOne(
            database, sql: "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?", arguments: [name])
        let parsed = text.flatMap { IndexText(sql: $0) }
        var index = TableDescription.UniqueIndex(terms: [], predicate: parsed?.predicate)
        for (position, term) in terms.enumerated() {
            let collation = term["coll"] as String? ?? "BINARY"
            if let column = term["name"] as String? {
                index.terms.append(.init(column: column, collation: collation))
            } else if let parsed, parsed.terms.indices.contains(position) {
                index.terms.append(.init(expression: parsed.terms[position], collation: collation))
            } else {
                return nil
            }
        }
        return index
    }

    /// A trigger of the database.
    struct Trigger {
        let name: String
        let table: String
        let sql: String
        /// Grows in the order in which triggers were made. SQLite runs the youngest first.
        let age: Int64
    }

    func triggers() throws -> [Trigger] {
        try Row.fetchAll(
            database,
            sql: "SELECT name, tbl_name, sql, rowid FROM main.sqlite_master WHERE type = 'trigger' AND sql IS NOT NULL"
        ).map { Trigger(name: $0["name"], table: $0["tbl_name"], sql: $0["sql"], age: $0["rowid"]) }
    }
}
