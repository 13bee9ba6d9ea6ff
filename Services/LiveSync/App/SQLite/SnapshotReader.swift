internal import Foundation
internal import GRDB
internal import JSON
internal import LiveSyncCore

/// Reads pages of tables on a connection of its own, so that publishing never waits for it.
actor SnapshotReader {
    private let path: String
    private let valueLimit: Int
    /// About how large a page may become: it must fit into one message.
    private let pageBytes: Int
    private var connection: SQLiteConnection?

    init(path: String, valueLimit: Int, pageBytes: Int) {
        self.path = path
        self.valueLimit = valueLimit
        self.pageBytes = pageBytes
    }

    func follows(table: String) async throws -> Bool {
        try await read { try SnapshotReader.isFollowed(table, in: $0) }
    }

    func page(_ request: SnapshotRequest, table: String, access: [RowFilter]?) async throws -> SnapshotPage {
        let (valueLimit, pageBytes) = (valueLimit, pageBytes)
        return try await read { database in
            let reader = SchemaReader(database: database)
            guard try SnapshotReader.isFollowed(table, in: database),
                let entry = try reader.entries().first(where: { $0.name == table })
            else { throw SourceError(.missing, "the table \(table) is not followed") }
            let row = RowExpression(table: try reader.describe(entry), valueLimit: valueLimit)
            let version = try reader.version
            let query = try SnapshotQuery(request, access: access, row: row, schemaVersion: version)
            var page = PageBuilder(table: row.table, schemaVersion: version, limit: request.limit, bytes: pageBytes)
            let rows = try Row.fetchCursor(
                database, sql: query.sql, arguments: StatementArguments(query.values.map(\.databaseValue)))
            while let row = try rows.next() {
                guard try page.add(row: row[0], key: row[1], identity: row[2]) else { break }
            }
            return page.finished(lastChange: try DatabaseMeta(database: database).lastRecorded)
        }
    }

    /// From when its triggers are there: a page of it and the changes since then are the table.
    private static func isFollowed(_ table: String, in database: Database) throws -> Bool {
        let meta = DatabaseMeta(database: database)
        return try meta.isThere && meta.tables[table] == .followed
    }

    private func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            if let connection {
                try connection.checkFile()
                return try await connection.read(work)
            }
            let opened = try await SQLiteConnection(
                path: path, label: "livesync.snapshot", busyTimeout: .seconds(2))
            connection = opened
            return try await opened.read(work)
        } catch let error as SourceError where error.code == .replaced {
            connection = nil
            return try await read(work)
        }
    }
}

/// Collects the rows of a page until it is full.
private struct PageBuilder {
    let table: TableDescription
    let schemaVersion: Int64
    let limit: Int
    let bytes: Int
    private var rows: [JSONObject] = []
    private var omissions: [(key: JSONObject, columns: [String])] = []
    private var size = 0
    private var last: [JSONValue] = []
    private var isFull = false

    init(table: TableDescription, schemaVersion: Int64, limit: Int, bytes: Int) {
        self.table = table
        self.schemaVersion = schemaVersion
        self.limit = limit
        self.bytes = bytes
    }

    /// - Returns: whether there was room for it.
    mutating func add(row text: String, key keyText: String, identity: String) throws -> Bool {
        guard rows.count < limit, rows.isEmpty || size + text.utf8.count <= bytes else {
            isFull = true
            return false
        }
        guard let parsed = try? JSONValue(parsing: text).objectValue,
            let key = try? JSONValue(parsing: keyText).objectValue,
            let identity = try? JSONValue(parsing: identity).arrayValue
        else { throw SourceError(.failed, "a row of \(table.name) cannot be shown as JSON") }
        var (row, omitted) = parsed.withoutOmittedValues()
        let excess = JSONValue.object(row).serialized().count - bytes
        if excess > 0 {
            // One row alone is too large for a message.
            let largest = row.largestColumns(excess: excess, keeping: table.keyColumns)
            for column in largest { row[column] = nil }
            omitted += largest
        }
        row = row.merging(key)
        rows.append(row)
        if !omitted.isEmpty { omissions.append((key, omitted)) }
        size += JSONValue.object(row).serialized().count
        last = identity
        return true
    }

    func finished(lastChange: UInt64) -> SnapshotPage {
        SnapshotPage(
            key: table.keyColumns, rows: rows,
            next: isFull ? SnapshotQuery.cursor(identity: last, table: table, schemaVersion: schemaVersion) : nil,
            lastChange: lastChange, omissions: omissions)
    }
}

extension SQLValue {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let value): value.databaseValue
        case .real(let value): value.databaseValue
        case .text(let value): value.databaseValue
        case .blob(let bytes): Data(bytes).databaseValue
        }
    }
}
