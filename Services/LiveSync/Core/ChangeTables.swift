/// The tables that live sync keeps inside the database that it follows.
///
/// - `_apus_changes`: what the triggers recorded, one row per change, numbered in the order of commits (SQLite has one
///   writer at a time). What was published is removed, but for the newest ``retained``.
/// - `_apus_replaced`: rows that a statement under way may silently remove; see ``TriggerText``.
/// - `_apus_tables`: the tables that were looked for, and whether they were there.
/// - `_apus_meta`: the database's id, how far its changes are published, whether all tables are followed.
package enum ChangeTables {
    /// Tables and triggers of ours begin so; nobody else's are touched.
    package static let namePrefix = "_apus_"

    /// How many published changes stay.
    package static let retained: UInt64 = 1000

    /// How many columns an identity may have.
    package static let identityWidth = 16

    package static let schema: [String] = [
        """
        CREATE TABLE IF NOT EXISTS "_apus_changes"("seq" INTEGER PRIMARY KEY AUTOINCREMENT, "table" TEXT NOT NULL, \
        "op" TEXT NOT NULL, "key" TEXT NOT NULL, "old" TEXT, "new" TEXT, "at" TEXT NOT NULL)
        """,
        """
        CREATE TABLE IF NOT EXISTS "_apus_replaced"("table" TEXT NOT NULL, "key" TEXT NOT NULL, "old" TEXT NOT NULL, \
        \(identityNames(identityWidth).joined(separator: ", ")))
        """,
        #"CREATE INDEX IF NOT EXISTS "_apus_replaced_by_key" ON "_apus_replaced"("table", "key")"#,
        #"CREATE TABLE IF NOT EXISTS "_apus_tables"("name" TEXT PRIMARY KEY, "state" TEXT NOT NULL)"#,
        #"CREATE TABLE IF NOT EXISTS "_apus_meta"("name" TEXT PRIMARY KEY, "value" NOT NULL)"#,
    ]

    /// The time of a change: of the statement that made it, UTC, to the millisecond.
    static let now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

    static func identityNames(_ count: Int) -> [String] { (1...max(1, count)).map { "\"id\($0)\"" } }

    // MARK: Telling a table anew

    /// Records that the table is empty now, whatever it was.
    package static func recordTruncated(table: String) -> String {
        """
        INSERT INTO "_apus_changes"("table", "op", "key", "at") \
        VALUES (\(SQLText.literal(table)), 'truncated', '{}', \(now))
        """
    }

    /// Records each row that the table holds as created.
    package static func recordRows(_ row: RowExpression) -> String {
        """
        INSERT INTO "_apus_changes"("table", "op", "key", "new", "at") \
        SELECT \(SQLText.literal(row.table.name)), 'created', \(row.key(of: "t")), \(row.instance(of: "t")), \(now) \
        FROM \(SQLText.identifier(row.table.name)) AS t
        """
    }

    /// Gives the last unpublished change of each row of the table the row's columns as they are now: triggers that were
    /// written for other columns, or that ran after somebody else's, may have recorded something else. One parameter:
    /// the sequence up to which changes are published.
    package static func refreshUnpublished(_ row: RowExpression) -> String {
        """
        UPDATE "_apus_changes" SET "new" = present."row" FROM \
        (SELECT \(row.key(of: "t")) AS "key", \(row.instance(of: "t")) AS "row" \
        FROM \(SQLText.identifier(row.table.name)) AS t) AS present \
        WHERE "_apus_changes"."key" = present."key" AND "_apus_changes"."op" IN ('created', 'updated') \
        AND "_apus_changes"."seq" IN (SELECT max("seq") FROM "_apus_changes" \
        WHERE "table" = \(SQLText.literal(row.table.name)) AND "seq" > ? GROUP BY "key")
        """
    }
}
