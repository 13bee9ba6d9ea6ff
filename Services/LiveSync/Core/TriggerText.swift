/// The triggers that record a table's changes, whichever program makes them.
///
/// Each is complete in itself: it runs inside the other program's SQLite (3.38 or later, for its JSON functions) and can
/// fail only where that program's own statement would.
///
/// `REPLACE INTO`, `INSERT OR REPLACE` and `UPDATE OR REPLACE` remove rows that stand in the way of a unique constraint
/// *without* firing delete triggers (unless `PRAGMA recursive_triggers` is on). So a `BEFORE` trigger keeps the rows that
/// the statement might remove, in `_apus_replaced`, and the `AFTER` trigger tells those that are gone. What the `BEFORE`
/// trigger kept for a statement that ended otherwise (`OR IGNORE`, `ON CONFLICT DO …`) does no harm: such a row is told
/// only if it vanished without a delete or update, and both forget it.
///
/// An update of the key is told as the old row's deletion and the new one's creation.
package struct TriggerText: Sendable, Hashable {
    package let name: String
    package let sql: String

    /// The triggers of a table.
    package static func all(for row: RowExpression) -> [TriggerText] {
        let writer = TriggerWriter(row: row)
        return [
            writer.trigger("before_insert", "BEFORE INSERT", when: writer.conflictExists(), writer.keepReplaced()),
            writer.trigger("insert", "AFTER INSERT", writer.recordInsert()),
            writer.trigger(
                "before_update", "BEFORE UPDATE\(writer.updatedUniqueColumns)",
                when: writer.conflictExists(besides: "OLD"), writer.keepReplaced(besides: "OLD")),
            writer.trigger("update", "AFTER UPDATE", writer.recordUpdate()),
            writer.trigger("delete", "AFTER DELETE", writer.recordDelete()),
        ]
    }
}

/// Composes the statements of one table's triggers.
private struct TriggerWriter {
    let row: RowExpression
    var table: TableDescription { row.table }
    var quoted: String { SQLText.identifier(row.table.name) }
    var literal: String { SQLText.literal(row.table.name) }
    var newKey: String { row.key(of: "NEW") }
    var oldKey: String { row.key(of: "OLD") }

    /// No two tables' triggers have the same name, since what comes before the table's name tells the events apart.
    func trigger(_ kind: String, _ event: String, when: String? = nil, _ statements: [String]) -> TriggerText {
        let name = "\(ChangeTables.namePrefix)\(kind)_\(table.name)"
        let body = statements.map { "  \($0);\n" }.joined()
        let condition = when.map { " WHEN \($0)" } ?? ""
        return TriggerText(
            name: name,
            sql: "CREATE TRIGGER \(SQLText.identifier(name)) \(event) ON \(quoted)\(condition) BEGIN\n\(body)END")
    }

    // MARK: Rows that may be replaced

    /// For each unique constraint: that the row `t` has the same values as `NEW`.
    private var conflicts: [String] {
        let identity = row.identifies("t", table.identityColumns.map { "NEW.\(SQLText.identifier($0))" })
        var conditions = ["(\(identity))"]
        for index in table.uniqueIndexes {
            var terms = index.terms.map { term in
                // In an index's own text columns have no prefix; inside the subquery they are those of NEW.
                let present = term.column.map { "t.\(SQLText.identifier($0))" } ?? "(\(term.expression))"
                let new = term.column.map { "NEW.\(SQLText.identifier($0))" } ?? newValue(of: term.expression)
                return "\(present) = \(new) COLLATE \(SQLText.identifier(term.collation))"
            }
            if let predicate = index.predicate { terms.append("(\(predicate))") }
            let condition = "(\(terms.joined(separator: " AND ")))"
            if !conditions.contains(condition) { conditions.append(condition) }
        }
        return conditions
    }

    private func newValue(of expression: String) -> String {
        let columns = table.columns.map { "NEW.\(SQLText.identifier($0.name)) AS \(SQLText.identifier($0.name))" }
        return "(SELECT \(expression) FROM (SELECT \(columns.joined(separator: ", "))))"
    }

    private func exclusion(_ other: String?) -> String {
        guard let other else { return "" }
        return " AND NOT (" + row.identifies("t", table.identityColumns.map { "\(other).\(SQLText.identifier($0))" })
            + ")"
    }

    func conflictExists(besides other: String? = nil) -> String {
        conflicts.map { "EXISTS(SELECT 1 FROM \(quoted) AS t WHERE \($0)\(exclusion(other)))" }
            .joined(separator: " OR ")
    }

    func keepReplaced(besides other: String? = nil) -> [String] {
        let selection = "FROM \(quoted) AS t WHERE (\(conflicts.joined(separator: " OR ")))\(exclusion(other))"
        let identity = table.identityColumns.map { "t.\(SQLText.identifier($0))" }
        let names = ChangeTables.identityNames(identity.count)
        return [
            """
            DELETE FROM "_apus_replaced" WHERE "table" = \(literal) \
            AND "key" IN (SELECT \(row.key(of: "t")) \(selection))
            """,
            """
            INSERT INTO "_apus_replaced"("table", "key", "old", \(names.joined(separator: ", "))) \
            SELECT \(literal), \(row.key(of: "t")), \(row.instance(of: "t")), \(identity.joined(separator: ", ")) \
            \(selection)
            """,
        ]
    }

    /// Only an update of a column that a constraint is over can replace another row.
    var updatedUniqueColumns: String {
        let terms = table.uniqueIndexes.flatMap(\.terms)
        let isPlain =
            table.uniqueIndexes.allSatisfy { $0.predicate == nil }
            && terms.allSatisfy { $0.column.flatMap(table.column).map { !$0.isGenerated } ?? false }
        var columns: [String] = []
        if case .columns(let identity) = table.identity { columns = identity }
        for term in terms { if let column = term.column, !columns.contains(column) { columns.append(column) } }
        return isPlain && !columns.isEmpty ? " OF " + columns.map(SQLText.identifier).joined(separator: ", ") : ""
    }

    /// That the kept row `r` is not in the table any more.
    private func isGone(_ r: String) -> String {
        let identity = row.identifies(
            "t", ChangeTables.identityNames(table.identityColumns.count).map { "\(r).\($0)" })
        return "NOT EXISTS(SELECT 1 FROM \(quoted) AS t WHERE \(identity) AND \(r).\"key\" = \(row.key(of: "t")))"
    }

    // MARK: Recording

    private func record(_ selection: String) -> String {
        #"INSERT INTO "_apus_changes"("table", "op", "key", "old", "new", "at") "# + selection
    }

    private var recordReplaced: String {
        record(
            """
            SELECT \(literal), 'deleted', r."key", r."old", NULL, \(ChangeTables.now) FROM "_apus_replaced" AS r \
            WHERE r."table" = \(literal) AND r."key" <> \(newKey) AND \(isGone("r"))
            """)
    }

    /// The new row, which may have taken the place of a kept one with the same key.
    private func recordNew(condition: String = "") -> String {
        record(
            """
            SELECT \(literal), CASE WHEN n."old" IS NULL THEN 'created' ELSE 'updated' END, n."key", n."old", \
            \(row.instance(of: "NEW")), \(ChangeTables.now) FROM (SELECT k."key" AS "key", (SELECT r."old" \
            FROM "_apus_replaced" AS r WHERE r."table" = \(literal) AND r."key" = k."key") AS "old" \
            FROM (SELECT \(newKey) AS "key") AS k) AS n\(condition)
            """)
    }

    private func forget(_ keys: [String]) -> String {
        """
        DELETE FROM "_apus_replaced" WHERE "table" = \(literal) \
        AND ("key" IN (\(keys.joined(separator: ", "))) OR \(isGone("\"_apus_replaced\"")))
        """
    }

    func recordInsert() -> [String] { [recordReplaced, recordNew(), forget([newKey])] }

    func recordUpdate() -> [String] {
        [
            recordReplaced,
            record(
                """
                SELECT \(literal), CASE WHEN \(oldKey) = \(newKey) THEN 'updated' ELSE 'deleted' END, \(oldKey), \
                \(row.instance(of: "OLD")), CASE WHEN \(oldKey) = \(newKey) THEN \(row.instance(of: "NEW")) END, \
                \(ChangeTables.now)
                """),
            recordNew(condition: " WHERE n.\"key\" <> \(oldKey)"),
            forget([oldKey, newKey]),
        ]
    }

    func recordDelete() -> [String] {
        [
            record("SELECT \(literal), 'deleted', \(oldKey), \(row.instance(of: "OLD")), NULL, \(ChangeTables.now)"),
            #"DELETE FROM "_apus_replaced" WHERE "table" = \#(literal) AND "key" = \#(oldKey)"#,
        ]
    }
}
