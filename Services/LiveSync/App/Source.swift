package import JSON
package import LiveSyncCore

/// A database whose changes are read in the order of their commits.
///
/// One task at a time drives ``open()``, ``next()``, ``confirm(_:)`` and ``close()``: nothing recorded is given twice between two
/// `open`s, and after an `open` everything that was not confirmed is given again. ``snapshot(_:access:)`` and
/// ``follows(table:)`` may be called at any time from anywhere, also by a process that another one keeps from publishing.
///
/// Errors are ``SourceError``, and `CancellationError` when the calling task is cancelled.
package protocol Source: Sendable {
    /// The first part of its tables' models.
    var schema: String { get }

    /// Takes hold of the database for publishing and sees to it that changes of its tables are recorded.
    func open() async throws -> SourceOpening

    /// Waits until there are changes, and gives some of them, oldest first.
    func next() async throws -> [RecordedChange]

    /// The recorded change of this number, if it is still kept.
    func change(_ sequence: UInt64) async throws -> RecordedChange?

    /// Begins another life of the database under a new id: its past is not the one that followers know. Records every table
    /// anew, with numbers greater than `sequence`.
    func beginAnew(after sequence: UInt64) async throws -> SourceOpening

    /// Says that every change up to `sequence` is published.
    func confirm(_ sequence: UInt64) async

    /// Lets go of the database. Doing it twice is harmless.
    func close() async

    /// Whether changes of this table are recorded.
    func follows(table: String) async throws -> Bool

    /// A page of a table's rows.
    /// - Throws: also `RequestProblem`, for the client.
    func snapshot(_ request: SnapshotRequest, table: String, access: [RowFilter]?) async throws -> SnapshotPage
}

/// What a source says of itself when it is opened.
package struct SourceOpening: Sendable, Equatable {
    /// Names this life of the database.
    package var database: String
    /// Changes up to this one are published, as far as the database knows.
    package var published: UInt64
    /// The last change recorded.
    package var lastRecorded: UInt64
    /// The tables whose changes are recorded.
    package var tables: [String]

    package init(database: String, published: UInt64, lastRecorded: UInt64, tables: [String]) {
        self.database = database
        self.published = published
        self.lastRecorded = lastRecorded
        self.tables = tables
    }
}

/// A page of a table's rows, all read in one transaction.
package struct SnapshotPage: Sendable, Equatable {
    /// The names of the columns that are the rows' key.
    package var key: [String]
    package var rows: [JSONObject]
    /// What to ask for next; nil at the end.
    package var next: JSONValue?
    /// The last change that the rows hold.
    package var lastChange: UInt64
    /// Rows from which values were left out since they are too large, by key, with those columns.
    package var omissions: [(key: JSONObject, columns: [String])]

    package init(
        key: [String], rows: [JSONObject], next: JSONValue?, lastChange: UInt64,
        omissions: [(key: JSONObject, columns: [String])]
    ) {
        self.key = key
        self.rows = rows
        self.next = next
        self.lastChange = lastChange
        self.omissions = omissions
    }

    package static func == (left: SnapshotPage, right: SnapshotPage) -> Bool {
        left.key == right.key && left.rows == right.rows && left.next == right.next
            && left.lastChange == right.lastChange
            && left.omissions.elementsEqual(right.omissions) { $0.key == $1.key && $0.columns == $1.columns }
    }
}
