internal import Foundation

/// A lock that one process of this machine holds at a time, and that the system takes from it when it ends, however it ends.
///
/// It is on a file of its own: closing any descriptor of the database's file would drop SQLite's own locks on it.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// - Returns: nil if another process holds it.
    /// - Throws: ``SourceError`` if there can't be such a file.
    init?(path: String) throws {
        descriptor = Foundation.open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw SourceError(
                errno == EACCES || errno == EROFS ? .readOnly : .failed,
                "cannot make the lock file \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            Foundation.close(descriptor)
            return nil
        }
    }

    deinit { Foundation.close(descriptor) }
}
