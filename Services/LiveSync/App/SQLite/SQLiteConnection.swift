internal import Foundation
internal import GRDB
internal import LiveSyncCore

/// A connection to a database file that some other program owns: its journal mode and settings stay as they are.
///
/// Statements run on the connection's own queue, not on Swift's pool, one at a time.
final class SQLiteConnection: Sendable {
    let path: String
    private let queue: DatabaseQueue
    private let file: FileIdentity

    /// - Throws: ``SourceError``.
    init(path: String, label: String, busyTimeout: Duration) async throws {
        self.path = path
        guard let file = FileIdentity(path: path) else {
            throw SourceError(.missing, "there is no file \(path) yet")
        }
        self.file = file
        guard !file.isDirectory else { throw SourceError(.notADatabase, "\(path) is a folder, not a database") }
        var configuration = Configuration()
        configuration.label = label
        configuration.foreignKeysEnabled = false
        // Other people's tables and views may have been written with them.
        configuration.acceptsDoubleQuotedStringLiterals = true
        let (seconds, attoseconds) = busyTimeout.components
        configuration.busyMode = .timeout(Double(seconds) + Double(attoseconds) / 1e18)
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
        } catch {
            throw SourceError(sqlite: error, path: path)
        }
    }

    /// - Throws: ``SourceError``, what `work` throws otherwise, `CancellationError`.
    func perform<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await queue.writeWithoutTransaction(work)
        } catch let error as DatabaseError {
            try Task.checkCancellation()
            throw SourceError(sqlite: error, path: path)
        }
    }

    /// In one transaction that sees one state of the database and writes nothing.
    func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await queue.read(work)
        } catch let error as DatabaseError {
            try Task.checkCancellation()
            throw SourceError(sqlite: error, path: path)
        }
    }

    /// In one transaction that nobody else writes during.
    func write<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await perform { database in
            var result: Value?
            try database.inTransaction(.immediate) {
                result = try work(database)
                return .commit
            }
            guard let result else { throw SourceError(.failed, "a transaction ended without a result") }
            return result
        }
    }

    /// - Throws: ``SourceError`` if the path leads to another file now.
    func checkFile() throws {
        guard FileIdentity(path: path) == file else {
            throw SourceError(.replaced, "\(path) was removed or replaced by another file")
        }
    }
}

/// Which file a path leads to.
private struct FileIdentity: Equatable {
    let device: Int
    let inode: Int
    let isDirectory: Bool

    /// - Returns: nil if it leads nowhere.
    init?(path: String) {
        // The attributes of a symbolic link would be its own.
        let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: resolved) else { return nil }
        device = attributes[.systemNumber] as? Int ?? 0
        inode = attributes[.systemFileNumber] as? Int ?? 0
        isDirectory = attributes[.type] as? FileAttributeType == .typeDirectory
    }
}

extension SourceError {
    /// SQLite's own message may quote values, so only its name of the result is passed on.
    init(sqlite error: any Error, path: String) {
        guard let error = error as? DatabaseError else {
            self = (error as? SourceError) ?? SourceError(.failed, "\(path): \(type(of: error))")
            return
        }
        self =
            switch error.resultCode {
            case .SQLITE_NOTADB, .SQLITE_CORRUPT:
                SourceError(.notADatabase, "\(path) is not an SQLite database, or a damaged or encrypted one")
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                SourceError(.locked, "\(path) is locked by another program")
            case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
                SourceError(.readOnly, "\(path) or its folder cannot be written; live sync keeps its triggers there")
            case .SQLITE_FULL: SourceError(.full, "the disk of \(path) is full")
            case .SQLITE_CANTOPEN:
                SourceError(.failed, "\(path) cannot be opened; may this user read and write it and its folder?")
            default:
                SourceError(.failed, "\(path): SQLite reports \(error.extendedResultCode)")
            }
    }
}
