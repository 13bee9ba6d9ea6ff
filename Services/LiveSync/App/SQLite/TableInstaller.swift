internal import Events
internal import Foundation
internal import GRDB
internal import LiveSyncCore

/// Sees to it that the changes of the tables asked for are recorded: writes and renews triggers, and records what followers
/// must be told where triggers were missing.
struct TableInstaller: Sendable {
    /// Which tables are asked for; nil is all of them.
    let requested: [String]?
    let schema: String
    let valueLimit: Int

    struct Outcome: Sendable {
        var opening: SourceOpening
        var schemaVersion: Int64
        /// Tables that are asked for and can't be followed.
        var problems: [String: SourceError]
    }

    /// What is to be done in a database as it is now.
    private struct Plan {
        var actions: [(name: String, row: RowExpression?, action: TableReview.Action)] = []
        var obsolete: [String] = []
        var unwanted: [String] = []
        var followed: [String] = []
        var problems: [String: SourceError] = [:]
        var isSetUp = true

        var isEmpty: Bool {
            isSetUp && obsolete.isEmpty && unwanted.isEmpty && actions.allSatisfy { $0.action == .nothing }
        }
    }

    /// - Parameter isNew: whether the database came into being while it was waited for, so that nobody has seen any row of it.
    func review(_ connection: SQLiteConnection, isNew: Bool) async throws -> Outcome {
        let settled = try await connection.read { database -> Outcome? in
            let plan = try plan(database, isNew: isNew)
            return plan.isEmpty ? try outcome(of: plan, database) : nil
        }
        if let settled { return settled }
        return try await connection.write { database in
            for statement in ChangeTables.schema { try database.execute(sql: statement) }
            let plan = try plan(database, isNew: isNew)
            try carryOut(plan, database)
            return try outcome(of: plan, database)
        }
    }

    /// Begins another life of the database: all tables are told anew, under another id and with greater numbers.
    func beginAnew(_ connection: SQLiteConnection, after sequence: UInt64) async throws -> Outcome {
        try await connection.write { database in
            let meta = DatabaseMeta(database: database)
            try meta.set(.database, UUID().uuidString.lowercased())
            try meta.raiseSequence(to: sequence)
            try meta.set(.published, String(try meta.lastRecorded))
            let plan = try plan(database, isNew: false)
            for case (_, let row?, _) in plan.actions where plan.followed.contains(row.table.name) {
                try tell(.anew, row, database)
            }
            return try outcome(of: plan, database)
        }
    }

    // MARK: Planning

    private func plan(_ database: Database, isNew: Bool) throws -> Plan {
        var plan = Plan()
        let meta = DatabaseMeta(database: database)
        plan.isSetUp = try meta.isSetUp && meta.get(.allTables) == (requested == nil ? "1" : "0")
        let known = try meta.isThere ? meta.tables : [:]
        let reader = SchemaReader(database: database)
        let triggers = try reader.triggers()
        let entries = try reader.entries()
        let isAwaited = try isNew || requested == nil && meta.isThere && meta.get(.allTables) == "1"
        /// Table by trigger.
        var expected: [String: String] = [:]
        let names = names(in: entries, known: known)
        for name in names {
            let entry = entries.first { $0.name == name }
            var row: RowExpression?
            var state = TableReview.Triggers.absent
            if let entry {
                do {
                    try checkChannel(name)
                    let described = RowExpression(table: try reader.describe(entry), valueLimit: valueLimit)
                    let wanted = TriggerText.all(for: described)
                    state = triggerState(wanted, among: triggers, table: name)
                    for trigger in wanted { expected[trigger.name] = name }
                    row = described
                    plan.followed.append(name)
                } catch let problem as SourceError {
                    plan.problems[name] = problem
                    continue
                }
            } else if requested != nil {
                plan.problems[name] = SourceError(.missing, "there is no table \(name) yet")
            }
            let action = TableReview.action(
                isPresent: row != nil, known: known[name], triggers: state, isAwaited: isAwaited)
            plan.actions.append((name, row, action))
        }
        plan.obsolete = triggers.filter {
            $0.name.hasPrefix(ChangeTables.namePrefix) && expected[$0.name] != $0.table
        }.map(\.name)
        plan.unwanted = known.keys.filter { !names.contains($0) }.sorted()
        return plan
    }

    /// SQLite compares names without regard to case; the table's own spelling counts.
    private func names(in entries: [SchemaReader.Entry], known: [String: TableReview.Known]) -> [String] {
        guard let requested else {
            let present = entries.filter { $0.kind == "table" }.map(\.name)
            return present + known.keys.filter { known[$0] == .followed && !present.contains($0) }.sorted()
        }
        return requested.map { name in
            entries.first { $0.name == name }?.name
                ?? entries.first { $0.name.lowercased() == name.lowercased() }?.name ?? name
        }
    }

    private func checkChannel(_ table: String) throws {
        do {
            _ = try ChannelName(namespace: "table", name: "\(schema).\(table)")
        } catch {
            throw SourceError(.unsupported, "no channel can be named after the table \(table): \(error)")
        }
    }

    private func triggerState(
        _ wanted: [TriggerText], among triggers: [SchemaReader.Trigger], table: String
    ) -> TableReview.Triggers {
        let ours = triggers.filter { trigger in
            trigger.table == table && wanted.contains { $0.name == trigger.name }
        }
        // Without one of the three that record, changes were lost.
        let recording = wanted.filter { $0.sql.contains(" AFTER ") }.map(\.name)
        guard recording.allSatisfy({ name in ours.contains { $0.name == name } }) else { return .absent }
        let others = triggers.filter { $0.table == table && !$0.name.hasPrefix(ChangeTables.namePrefix) }
        let isYoungest = ours.map(\.age).min() ?? 0 > others.map(\.age).max() ?? -1
        let isCurrent = wanted.allSatisfy { wanted in ours.contains { $0.name == wanted.name && $0.sql == wanted.sql } }
        return isCurrent && isYoungest ? .current : .outdated
    }

    // MARK: Doing

    private func carryOut(_ plan: Plan, _ database: Database) throws {
        let meta = DatabaseMeta(database: database)
        try meta.setUp(allTables: requested == nil)
        for name in plan.obsolete { try database.execute(sql: "DROP TRIGGER IF EXISTS \(SQLText.identifier(name))") }
        for name in plan.unwanted { try meta.forget(table: name) }
        for (name, row, action) in plan.actions {
            switch action {
            case .nothing: break
            case .rememberMissing: try meta.set(table: name, .missing)
            case .recordGone:
                try database.execute(sql: ChangeTables.recordTruncated(table: name))
                try meta.set(table: name, .missing)
            case .install(let telling):
                guard let row else { continue }
                for trigger in TriggerText.all(for: row) {
                    try database.execute(sql: "DROP TRIGGER IF EXISTS \(SQLText.identifier(trigger.name))")
                }
                for trigger in TriggerText.all(for: row) { try database.execute(sql: trigger.sql) }
                try tell(telling, row, database)
                try meta.set(table: name, .followed)
            }
        }
    }

    private func tell(_ telling: TableReview.Telling, _ row: RowExpression, _ database: Database) throws {
        switch telling {
        case .nothing: break
        case .rows: try database.execute(sql: ChangeTables.recordRows(row))
        case .anew:
            try database.execute(sql: ChangeTables.recordTruncated(table: row.table.name))
            try database.execute(sql: ChangeTables.recordRows(row))
        case .refresh:
            let published = try DatabaseMeta(database: database).published
            try database.execute(sql: ChangeTables.refreshUnpublished(row), arguments: [Int64(clamping: published)])
        }
    }

    private func outcome(of plan: Plan, _ database: Database) throws -> Outcome {
        let meta = DatabaseMeta(database: database)
        return Outcome(
            opening: SourceOpening(
                database: try meta.get(.database) ?? "", published: try meta.published,
                lastRecorded: try meta.lastRecorded, tables: plan.followed),
            schemaVersion: try SchemaReader(database: database).version, problems: plan.problems)
    }
}
