package import JSON

/// The statement that reads one page of a table, in the order of its identity, and the cursors between pages.
///
/// A cursor is an array: the identity of the page's last row and, where that is a hidden row number, the schema's version,
/// since `VACUUM` gives such rows other numbers (and changes that version).
package struct SnapshotQuery: Sendable, Hashable {
    /// Each row of its result is: the row as JSON text, its key as JSON text, its identity as JSON text (an array's members).
    package let sql: String
    package let values: [SQLValue]

    /// - Parameters:
    ///   - access: what must hold besides the request's own filter.
    ///   - schemaVersion: of the database now.
    /// - Throws: ``RequestProblem`` for columns that are not the table's and cursors that no page gave.
    package init(
        _ request: SnapshotRequest, access: [RowFilter]?, row: RowExpression, schemaVersion: Int64
    ) throws(RequestProblem) {
        let table = row.table
        if let unknown = request.columns?.first(where: { table.column($0) == nil }) {
            throw RequestProblem("the table has no column \(unknown)")
        }
        var conditions = [try request.filter.bound(to: table, row: "t")]
        if let access {
            var allowed: [BoundCondition] = []
            for filter in access { allowed.append(try filter.bound(to: table, row: "t")) }
            conditions.append(.any(allowed))
        }
        if let after = request.after {
            conditions.append(try SnapshotQuery.following(after, table: table, schemaVersion: schemaVersion))
        }
        let condition = BoundCondition.all(conditions)
        let shown = request.columns.map { columns in
            table.columns.map(\.name).filter { columns.contains($0) || table.keyColumns.contains($0) }
        }
        let order = table.identityColumns.map { "t.\(SQLText.identifier($0))" }.joined(separator: ", ")
        sql = """
            SELECT \(row.instance(of: "t", columns: shown)), \(row.key(of: "t")), \(row.identity(of: "t")) \
            FROM \(SQLText.identifier(table.name)) AS t WHERE \(condition.sql) ORDER BY \(order) LIMIT ?
            """
        // One more than wanted tells whether there is another page.
        values = condition.values + [.integer(Int64(request.limit) + 1)]
    }

    private static func following(
        _ cursor: JSONValue, table: TableDescription, schemaVersion: Int64
    ) throws(RequestProblem) -> BoundCondition {
        guard var identity = cursor.arrayValue else { throw RequestProblem("after is not what a page gave as next") }
        if case .rowID = table.identity {
            guard identity.popLast()?.integerValue == schemaVersion else {
                throw RequestProblem(
                    "the database was altered since the page that gave this after: begin anew without it")
            }
        }
        let values = identity.compactMap { SQLValue(json: $0) }
        guard values.count == identity.count, values.count == table.identityColumns.count else {
            throw RequestProblem("after is not what a page gave as next")
        }
        let columns = table.identityColumns.map { "t.\(SQLText.identifier($0))" }.joined(separator: ", ")
        let marks = values.map { _ in "?" }.joined(separator: ", ")
        return BoundCondition(sql: "(\(columns)) > (\(marks))", values: values)
    }

    /// The cursor that follows a row with this identity.
    package static func cursor(identity: [JSONValue], table: TableDescription, schemaVersion: Int64) -> JSONValue {
        if case .rowID = table.identity { .array(identity + [.integer(schemaVersion)]) } else { .array(identity) }
    }
}
