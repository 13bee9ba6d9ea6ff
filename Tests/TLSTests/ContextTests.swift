import Foundation
import TLS
import Testing

@Suite("TLS context", .timeLimit(.minutes(1)))
struct ContextTests {
    private func error(_ certificate: String, _ key: String) -> TLSFileError? {
        do throws(TLSFileError) {
            _ = try TLSContext(certificateFile: certificate, keyFile: key)
            return nil
        } catch {
            return error
        }
    }

    @Test("files that cannot be used are told by name, with what to do")
    func wrongFiles() throws {
        let files = try ServerFiles("a", "b")
        try files.openssl("pkey -in a.key -aes256 -passout pass:secret -out locked.key")
        try Data("nothing".utf8).write(to: files.folder.appending(path: "empty.pem"))
        let cases: [(String, String, TLSFileError.File, String)] = [
            ("none.pem", "a.key", .certificate, "cannot read"), ("a.pem", "none.key", .key, "cannot read"),
            ("empty.pem", "a.key", .certificate, "no certificate"), ("a.key", "a.key", .certificate, "no certificate"),
            ("a.pem", "empty.pem", .key, "no private key"), ("a.pem", "a.pem", .key, "no private key"),
            ("a.pem", "locked.key", .key, "password"), ("a.pem", "b.key", .key, "belong together"),
        ]
        for (certificate, key, file, words) in cases {
            let found = try #require(error(files.path(certificate), files.path(key)), "\(certificate) \(key)")
            #expect(found.file == file, "\(found)")
            #expect(found.description.contains(words), "\(found)")
            #expect(found.description.contains(files.path(file == .key ? key : certificate)), "\(found)")
        }
        #expect(error(files.folder.path, files.path("a.key"))?.file == .certificate)
        #expect(error(files.path("a.pem"), files.path("a.key")) == nil)
    }

    @Test("renewed files are taken once, bad ones are told once, and what was good stays in use")
    func renewal() throws {
        let files = try ServerFiles("a", "b")
        let context = try TLSContext(certificateFile: files.path("a.pem"), keyFile: files.path("a.key"))
        func put(_ from: String, _ to: String) throws {
            // As those who renew certificates do it: another file under the same name.
            try? FileManager.default.removeItem(atPath: files.path(to))
            try FileManager.default.copyItem(atPath: files.path(from), toPath: files.path(to))
        }
        #expect(try context.reload() == false)
        try put("b.pem", "a.pem")
        #expect(throws: TLSFileError.self) { try context.reload() }
        #expect(try context.reload() == false)
        let pair = try SessionPair(context)
        #expect(pair.shakeHands() == .done)
        #expect(pair.commonName == "a")
        try put("b.key", "a.key")
        #expect(try context.reload())
        #expect(try context.reload() == false)
        let next = try SessionPair(context)
        #expect(next.shakeHands() == .done)
        #expect(next.commonName == "b")
        pair.clientWrites([1, 2, 3])
        #expect(pair.serverReads().1 == [1, 2, 3])
    }
}
