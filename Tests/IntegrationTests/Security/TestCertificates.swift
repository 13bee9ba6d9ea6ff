import Foundation
import TestKit

/// Certificates of a test's own, made by `openssl`: an authority, a server's for `localhost`, a client's, and another
/// authority that signed none of them.
final class TestCertificates: Sendable {
    private let folder: URL

    struct Failure: Error, CustomStringConvertible { let description: String }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data("subjectAltName=DNS:localhost\n".utf8).write(to: folder.appendingPathComponent("names"))
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        let signing = "-CA ca.pem -CAkey ca.key -CAcreateserial"
        for authority in ["ca", "other"] {
            let files = "-keyout \(authority).key -out \(authority).pem"
            try openssl("req -x509 \(key) -days 2 -subj /CN=\(authority) \(files)")
        }
        for name in ["server", "client"] {
            try openssl("req \(key) -subj /CN=\(name) -keyout \(name).key -out \(name).csr")
            try openssl("x509 -req -in \(name).csr \(signing) -days 2 -extfile names -out \(name).pem")
        }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// The path of `ca.pem`, `server.key`, `client.pem`, `other.pem` and so on.
    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// Lines of nats-server's configuration.
    func serverConfiguration(asksForCertificate: Bool = false) -> String {
        let client = asksForCertificate ? ", ca_file: \"\(path("ca.pem"))\", verify: true" : ""
        return "tls { cert_file: \"\(path("server.pem"))\", key_file: \"\(path("server.key"))\"\(client) }"
    }

    private func openssl(_ arguments: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
        process.currentDirectoryURL = folder
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "openssl \(arguments): \(text)") }
    }
}
