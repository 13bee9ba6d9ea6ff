internal import CommandLineCore
internal import Foundation
internal import JSON

/// The folder in which `apus dev` keeps everything: configuration, streams, database, sample.
struct DataFolder: Sendable {
    static let usualPath = ".apus"

    /// Absolute.
    let path: String

    init(path: String) { self.path = URL(fileURLWithPath: path).standardizedFileURL.path }

    var configurationPath: String { path + "/apus.yaml" }
    var databasePath: String { path + "/shop.sqlite" }
    var samplePath: String { path + "/orders.csv" }
    var streamsPath: String { path + "/nats" }
    var uploadPath: String { path + "/uploads" }
    private var sessionPath: String { path + "/session.json" }
    private var lockPath: String { path + "/lock" }

    var hasConfiguration: Bool { FileManager.default.fileExists(atPath: configurationPath) }

    /// Makes the folder, for this user alone.
    func create() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                "cannot make the data folder \(path): \(error.localizedDescription); name another with --data")
        }
    }

    /// Writes a file that only this user can read, all at once.
    func write(_ text: String, to path: String) throws {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw writeFailure(path) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data(text.utf8))
            try file.close()
        } catch {
            throw writeFailure(path)
        }
        guard rename(temporary, path) == 0 else { throw writeFailure(path) }
    }

    private func writeFailure(_ path: String) -> Failure {
        Failure("cannot write \(path): \(String(cString: strerror(errno)))")
    }
}

// MARK: - The session that runs here

extension DataFolder {
    /// Held by the `apus dev` that uses the folder; the system lets go of it however that ends.
    final class Lock: Sendable {
        private let descriptor: Int32

        fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

        deinit { close(descriptor) }
    }

    /// - Throws: ``Failure`` if another `apus dev` uses the folder.
    func lock() throws -> Lock {
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw writeFailure(lockPath) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            let which = readSession().map { " (process \($0.process), page \($0.page))" } ?? ""
            throw Failure(
                "`apus dev` runs in \(path) already\(which): stop that one, or use another folder with --data")
        }
        return Lock(descriptor: descriptor)
    }

    func write(_ session: DevelopmentSession) throws { try write(session.json.description + "\n", to: sessionPath) }

    func removeSession() { unlink(sessionPath) }

    /// What the `apus dev` that runs here told of itself; nil when none does.
    func runningSession() -> DevelopmentSession? {
        guard let session = readSession() else { return nil }
        let descriptor = open(lockPath, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Whoever can share the lock is alone: the session was left behind.
        return flock(descriptor, LOCK_SH | LOCK_NB) == 0 ? nil : session
    }

    private func readSession() -> DevelopmentSession? {
        guard let data = FileManager.default.contents(atPath: sessionPath),
            let value = try? JSONValue(parsing: Array(data))
        else { return nil }
        return DevelopmentSession(json: value)
    }
}
