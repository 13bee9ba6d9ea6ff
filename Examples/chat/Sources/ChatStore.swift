import GRDB
import JSON

/// The rooms' messages and who is muted, in SQLite.
struct ChatStore: Sendable {
    private let database: DatabaseQueue

    /// Opens the file, makes it if it is not there, and brings its tables to the latest form.
    init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(2)  // another process of this service may be writing
        database = try DatabaseQueue(path: path, configuration: configuration)
        var migrations = DatabaseMigrator()
        migrations.registerMigration("messages") { database in
            try database.execute(
                sql: """
                    CREATE TABLE message (
                        id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL, user TEXT NOT NULL, text TEXT NOT NULL,
                        key TEXT, sent_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
                        UNIQUE (room, user, key));
                    CREATE INDEX message_in_room ON message (room, id);
                    CREATE TABLE muted (user TEXT PRIMARY KEY);
                    """)
        }
        try migrations.migrate(database)
    }

    /// The latest messages of a room, before message `before` if it is given; oldest first.
    func messages(in room: String, before: Int64 = .max, limit: Int = ChatRoom.latest) async throws -> [JSONValue] {
        try await database.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM message WHERE room = ? AND id < ? ORDER BY id DESC LIMIT ?",
                arguments: [room, before, limit]
            ).reversed().map(ChatStore.json)
        }
    }

    /// - Returns: the message with its id and time; the one that is there already if its key is.
    func keep(_ text: String, by user: String, in room: String, key: String?) async throws -> JSONValue {
        try await database.write { database in
            // A key of nil is unlike every other, so that such a message is always a new one.
            try database.execute(
                sql: "INSERT INTO message (room, user, text, key) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                arguments: [room, user, text, key])
            let stored = try Row.fetchOne(
                database,
                sql: """
                    SELECT * FROM message WHERE room = ? AND user = ?
                    AND CASE WHEN ? IS NULL THEN id = last_insert_rowid() ELSE key = ? END
                    """, arguments: [room, user, key, key])
            guard let stored else { throw DatabaseError(message: "a message that was just stored is not there") }
            return ChatStore.json(stored)
        }
    }

    func isMuted(_ user: String) async throws -> Bool {
        try await database.read { database in
            try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM muted WHERE user = ?)", arguments: [user])
                ?? false
        }
    }

    func mute(_ user: String, _ isMuted: Bool) async throws {
        try await database.write { database in
            try database.execute(
                sql: isMuted ? "INSERT OR IGNORE INTO muted VALUES (?)" : "DELETE FROM muted WHERE user = ?",
                arguments: [user])
        }
    }

    private static func json(_ row: Row) -> JSONValue {
        [
            "id": .integer(row["id"]), "user": .string(row["user"]), "text": .string(row["text"]),
            "sent_at": .string(row["sent_at"]),
        ]
    }
}
