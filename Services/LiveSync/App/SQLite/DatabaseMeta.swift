internal import Foundation
internal import GRDB
internal import LiveSyncCore

/// What live sync remembers in the database that it follows.
struct DatabaseMeta {
    enum Name: String {
        /// The id of this life of the database.
        case database
        /// Changes up to this one are published.
        case published
        /// Whether all tables are followed: one that is new then appeared while it was.
        case allTables = "all_tables"
    }

    let database: Database

    /// Whether our tables are there.
    var isThere: Bool {
        get throws {
            try Int.fetchOne(
                database,
                sql: "SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name IN (?, ?, ?, ?)",
                arguments: ["_apus_changes", "_apus_replaced", "_apus_tables", "_apus_meta"]) == 4
        }
    }

    var isSetUp: Bool { get throws { try isThere && get(.database) != nil } }

    func get(_ name: Name) throws -> String? {
        guard try isThere else { return nil }
        return try String.fetchOne(
            database, sql: #"SELECT "value" FROM "_apus_meta" WHERE "name" = ?"#, arguments: [name.rawValue])
    }

    func set(_ name: Name, _ value: String) throws {
        try database.execute(
            sql: #"INSERT OR REPLACE INTO "_apus_meta"("name", "value") VALUES (?, ?)"#,
            arguments: [name.rawValue, value])
    }

    func setUp(allTables: Bool) throws {
        if try get(.database) == nil { try set(.database, UUID().uuidString.lowercased()) }
        if try get(.published) == nil { try set(.published, "0") }
        try set(.allTables, allTables ? "1" : "0")
    }

    var published: UInt64 { get throws { try get(.published).flatMap { UInt64($0) } ?? 0 } }

    /// The number of the last change that was recorded, whether it is still kept or not.
    var lastRecorded: UInt64 {
        get throws {
            guard try isThere else { return 0 }
            return try Int64.fetchOne(
                database, sql: "SELECT seq FROM main.sqlite_sequence WHERE name = '_apus_changes'"
            ).flatMap { UInt64(exactly: $0) } ?? 0
        }
    }

    /// Numbers changes from beyond `sequence` from now on.
    func raiseSequence(to sequence: UInt64) throws {
        let floor = Int64(clamping: max(sequence, try lastRecorded))
        try database.execute(sql: "DELETE FROM main.sqlite_sequence WHERE name = '_apus_changes'")
        try database.execute(
            sql: "INSERT INTO main.sqlite_sequence(name, seq) VALUES ('_apus_changes', ?)", arguments: [floor])
    }

    /// Saves how far changes are published, and removes old ones and what triggers left behind.
    func save(published: UInt64) throws {
        try set(.published, String(published))
        let kept = published > ChangeTables.retained ? published - ChangeTables.retained : 0
        try database.execute(
            sql: #"DELETE FROM "_apus_changes" WHERE "seq" <= ?"#, arguments: [Int64(clamping: kept)])
        try database.execute(sql: #"DELETE FROM "_apus_replaced""#)
    }

    // MARK: Tables

    var tables: [String: TableReview.Known] {
        get throws {
            let rows = try Row.fetchAll(database, sql: #"SELECT "name", "state" FROM "_apus_tables""#)
            return Dictionary(
                rows.compactMap { row in TableReview.Known(rawValue: row["state"]).map { (row["name"] as String, $0) }
                },
                uniquingKeysWith: { first, _ in first })
        }
    }

    func set(table: String, _ state: TableReview.Known) throws {
        try database.execute(
            sql: #"INSERT OR REPLACE INTO "_apus_tables"("name", "state") VALUES (?, ?)"#,
            arguments: [table, state.rawValue])
    }

    func forget(table: String) throws {
        try database.execute(sql: #"DELETE FROM "_apus_tables" WHERE "name" = ?"#, arguments: [table])
    }
}
