internal import Foundation
internal import GRDB
package import LiveSyncCore

/// An SQLite file. Triggers record its changes, whichever program makes them; this reads what they recorded.
///
/// The file is asked every ``pollInterval`` whether somebody wrote to it (`PRAGMA data_version`, some microseconds), so a change
/// is published about half of that after its commit. Publishing itself only reads. What live sync writes is short: triggers
/// when the schema changed, and at most once a second how far it came.
///
/// Of several processes that follow the same file one publishes, the one that holds the lock on `<file>-apus`; the others stand by.
package actor SQLiteSource: Source {
    package nonisolated let schema: String
    private nonisolated let path: String
    private nonisolated let installer: TableInstaller
    private nonisolated let pollInterval: Duration
    private nonisolated let status: SourceStatus
    private nonisolated let snapshots: SnapshotReader

    private var connection: SQLiteConnection?
    private var lock: FileLock?
    /// The file was waited for: nobody has seen any of its rows.
    private var wasMissing = false
    private var position: UInt64 = 0
    private var confirmed: UInt64 = 0
    private var saved: UInt64 = 0
    private var savedAt = ContinuousClock.now
    private var seenVersion: Int64?
    private var schemaVersion: Int64 = 0
    private var lockedSince: ContinuousClock.Instant?

    /// How many changes are read at once.
    private static let batchSize = 500
    /// A longer row is not even looked at.
    private static let rowLimit = 8_000_000
    /// How long the file may stay locked before that is a problem to tell.
    private static let lockPatience = Duration.seconds(3)
    private static let saveInterval = Duration.seconds(1)

    /// - Parameters:
    ///   - tables: nil is all of them.
    ///   - valueLimit: the longest value shown, in characters.
    package init(
        path: String, schema: String, tables: [String]?, pollInterval: Duration, valueLimit: Int,
        pageBytes: Int, status: SourceStatus
    ) {
        self.path = path
        self.schema = schema
        self.pollInterval = pollInterval
        self.status = status
        installer = TableInstaller(requested: tables, schema: schema, valueLimit: valueLimit)
        snapshots = SnapshotReader(path: path, valueLimit: valueLimit, pageBytes: pageBytes)
    }

    // MARK: Opening

    package func open() async throws -> SourceOpening {
        await close()
        guard FileManager.default.fileExists(atPath: path) else {
            wasMissing = true
            throw SourceError(.missing, "there is no file \(path) yet")
        }
        guard let lock = try FileLock(path: lockPath) else {
            throw SourceError(.heldElsewhere, "another process publishes the changes of \(path); standing by")
        }
        let connection = try await SQLiteConnection(
            path: path, label: "livesync.\(schema)", busyTimeout: .seconds(1))
        let outcome = try await installer.review(connection, isNew: wasMissing)
        wasMissing = false
        self.lock = lock
        self.connection = connection
        adopt(outcome)
        position = outcome.opening.published
        confirmed = position
        saved = position
        seenVersion = nil
        lockedSince = nil
        return outcome.opening
    }

    private nonisolated var lockPath: String {
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path + "-apus"
    }

    private func adopt(_ outcome: TableInstaller.Outcome) {
        schemaVersion = outcome.schemaVersion
        for table in outcome.opening.tables { status.table(table, nil) }
        for (table, problem) in outcome.problems { status.table(table, problem) }
    }

    package func beginAnew(after sequence: UInt64) async throws -> SourceOpening {
        let outcome = try await installer.beginAnew(try present, after: sequence)
        adopt(outcome)
        position = outcome.opening.published
        confirmed = position
        saved = position
        seenVersion = nil
        return outcome.opening
    }

    package func close() async {
        if let connection, confirmed > saved {
            // The caller may be cancelled by now; this last short write is not.
            let published = confirmed
            _ = await Task { try? await connection.write { try DatabaseMeta(database: $0).save(published: published) } }
                .value
        }
        saved = confirmed
        connection = nil
        lock = nil
    }

    private var present: SQLiteConnection {
        get throws {
            guard let connection else { throw SourceError(.failed, "\(path) is not open") }
            return connection
        }
    }

    // MARK: Changes

    package func next() async throws -> [RecordedChange] {
        while true {
            let connection = try present
            try connection.checkFile()
            do {
                let changes = try await poll(connection)
                lockedSince = nil
                status.source(nil)
                if !changes.isEmpty { return changes }
                // After a review there is more to read at once.
                if seenVersion == nil { continue }
            } catch let error as SourceError where error.code == .locked {
                let since = lockedSince ?? .now
                lockedSince = since
                if since.duration(to: .now) > SQLiteSource.lockPatience { status.source(error) }
            }
            await savePosition(connection)
            try await Task.sleep(for: pollInterval)
        }
    }

    /// What is new; nothing if nobody wrote.
    private func poll(_ connection: SQLiteConnection) async throws -> [RecordedChange] {
        let version = try await connection.perform { try Int64.fetchOne($0, sql: "PRAGMA main.data_version") ?? 0 }
        guard version != seenVersion else { return [] }
        let (after, knownSchema) = (Int64(clamping: position), schemaVersion)
        // In one transaction: what was recorded after the schema changed, by triggers for the columns before, is not given
        // out until it was reviewed.
        let changes = try await connection.read { database -> [RecordedChange]? in
            guard try SchemaReader(database: database).version == knownSchema else { return nil }
            return try SQLiteSource.changes(after: after, in: database)
        }
        guard let changes else {
            adopt(try await installer.review(connection, isNew: false))
            seenVersion = nil
            return []
        }
        if let last = changes.last {
            position = last.sequence
        } else {
            // Only now: whatever is committed from here on gives another version.
            seenVersion = version
        }
        return changes
    }

    private static func changes(after sequence: Int64, in database: Database) throws -> [RecordedChange] {
        var changes: [RecordedChange] = []
        var bytes = 0
        let rows = try Row.fetchCursor(
            database, sql: "\(selection) WHERE \"seq\" > ? ORDER BY \"seq\" LIMIT ?",
            arguments: [rowLimit, rowLimit, sequence, batchSize])
        while bytes < rowLimit, let row = try rows.next() {
            let change = recordedChange(row)
            for case .text(let text) in [change.old, change.new] { bytes += text.utf8.count }
            changes.append(change)
        }
        return changes
    }

    package func change(_ sequence: UInt64) async throws -> RecordedChange? {
        try await present.perform { database in
            try Row.fetchOne(
                database, sql: "\(SQLiteSource.selection) WHERE \"seq\" = ?",
                arguments: [SQLiteSource.rowLimit, SQLiteSource.rowLimit, Int64(clamping: sequence)]
            ).map(SQLiteSource.recordedChange)
        }
    }

    private static let selection = """
        SELECT "seq", "table", "op", "key", "at", "old" IS NULL, "new" IS NULL, \
        CASE WHEN length("old") <= ? THEN "old" END, CASE WHEN length("new") <= ? THEN "new" END FROM "_apus_changes"
        """

    private static func recordedChange(_ row: Row) -> RecordedChange {
        func text(_ isNull: Int, _ value: Int) -> RecordedChange.RowText {
            if row[isNull] { return .none }
            return (row[value] as String?).map(RecordedChange.RowText.text) ?? .tooLarge
        }
        return RecordedChange(
            sequence: UInt64(clamping: row[0] as Int64), table: row[1], action: row[2], key: row[3], old: text(5, 7),
            new: text(6, 8), recordedAt: row[4])
    }

    package func confirm(_ sequence: UInt64) async {
        confirmed = max(confirmed, sequence)
        if let connection { await savePosition(connection) }
    }

    /// Saving may wait: after a crash the stream tells what is published. But what is saved can be removed.
    private func savePosition(_ connection: SQLiteConnection) async {
        let published = confirmed
        guard published > saved, savedAt.duration(to: .now) >= SQLiteSource.saveInterval else { return }
        savedAt = .now
        do {
            try await connection.write { try DatabaseMeta(database: $0).save(published: published) }
            saved = max(saved, published)
            status.position(nil)
        } catch let error as SourceError where error.code == .locked {
            // Somebody else writes just now; there is always a next time.
        } catch let error as SourceError {
            status.position(error)
        } catch {
            // Cancelled: closing saves it.
        }
    }

    // MARK: Reading

    package nonisolated func follows(table: String) async throws -> Bool { try await snapshots.follows(table: table) }

    package nonisolated func snapshot(
        _ request: SnapshotRequest, table: String, access: [RowFilter]?
    ) async throws -> SnapshotPage {
        try await snapshots.page(request, table: table, access: access)
    }
}
