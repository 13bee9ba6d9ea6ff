internal import Glibc

/// A certificate or a key cannot be used; the description names the file and what to do.
public struct TLSFileError: Error, CustomStringConvertible, Equatable {
    public enum File: Sendable, Equatable {
        case certificate
        case key
    }

    public let file: File
    public let description: String

    init(_ file: File, _ description: String) {
        self.file = file
        self.description = description
    }

    static func mismatch(_ key: String, _ certificate: String) -> TLSFileError {
        TLSFileError(
            .key,
            "the key in \(key) is not that of the certificate in \(certificate): name two files that belong together")
    }
}

/// What tells the two files from those that stood there before. Links are followed: renewed certificates are often
/// exchanged by pointing a link elsewhere.
struct FileStamps: Equatable {
    private struct Stamp: Equatable {
        var device: UInt
        var file: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private var certificate: Stamp?
    private var key: Stamp?

    init(_ certificate: String, _ key: String) {
        self.certificate = FileStamps.stamp(certificate)
        self.key = FileStamps.stamp(key)
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            device: UInt(status.st_dev), file: UInt(status.st_ino), size: Int(status.st_size),
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    }

    static func checkReadable(_ path: String, _ file: TLSFileError.File) throws(TLSFileError) {
        guard access(path, R_OK) == 0 else {
            throw TLSFileError(
                file,
                "cannot read \(path): \(String(cString: strerror(errno))); it must be a file that this user may read")
        }
    }
}

/// A write to a connection that the other side has closed is an error of that write, not a signal that ends the process.
enum BrokenPipes {
    private static let ignored: Bool = {
        signal(SIGPIPE, SIG_IGN)
        return true
    }()

    static func areErrors() { _ = ignored }
}
