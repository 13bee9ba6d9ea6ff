internal import Glibc

/// The file with a user's JWT and the seed of its key, as `nsc generate creds` writes it.
enum CredentialsFile {
    private static let largest = 64 * 1024

    /// - Throws: `invalidArgument` if it cannot be read or is no such file. Says nothing of what is in it.
    static func check(_ path: String) throws(NATSError) {
        let text = try text(of: path)
        guard text.contains("-BEGIN NATS USER JWT-"), text.contains("-BEGIN USER NKEY SEED-") else {
            throw NATSError(
                .invalidArgument,
                "\(path) is no credentials file: that has a user's JWT and nkey seed, as `nsc generate creds` writes them"
            )
        }
    }

    /// What it holds now: it may be replaced while we run. Blocks for as long as reading takes.
    static func contents(of path: String) throws(NATSError) -> Contents { try Contents(try text(of: path)) }

    private static func text(of path: String) throws(NATSError) -> String {
        guard let file = fopen(path, "r") else {
            throw NATSError(
                .invalidArgument, "the credentials file \(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: largest)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
