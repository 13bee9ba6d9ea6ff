import EventBus
import EventBusNATS
import Foundation
import NATSClient
import TestKit
import Testing

@Suite("Who may connect to NATS", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct SecureConnectionTests {
    // MARK: Users

    @Test("user and password in the URL are used")
    func password() async throws {
        try await withServer("authorization { user: ann, password: \"s3cret\" }") { server in
            try await expectConnection(NATSConfiguration(servers: ["nats://ann:s3cret@127.0.0.1:\(server.port)"]))
        }
    }

    @Test("a wrong password is told with what to check, and tried until the server takes it")
    func wrongPassword() async throws {
        try await withServer("authorization { user: ann, password: \"right\" }") { server in
            let bus = try NATSEventBus.connect(
                NATSConfiguration(servers: ["nats://ann:guess@127.0.0.1:\(server.port)"]), logger: silent)
            let refusal = try #require(await refusal(of: bus))
            #expect(refusal.message.contains("check user and password in nats.url"), "\(refusal)")
            #expect(!refusal.message.contains("guess"))
            #expect(!bus.isConnected)
            // Whoever asks later is told too, since it is still so.
            #expect(await self.refusal(of: bus) != nil)
            try server.reload(configuration: "authorization { user: ann, password: \"guess\" }")
            await connected(bus)
            try await bus.flush(timeout: .seconds(5))

            // The other way round: thrown out while connected, and told why.
            let refusals = bus.refusals()
            try server.reload(configuration: "authorization { user: ann, password: \"changed\" }")
            for await refusal in refusals {
                #expect(refusal.message.contains("check user and password"))
                break
            }
            try server.reload(configuration: "authorization { user: ann, password: \"guess\" }")
            await connected(bus)
            await bus.close(timeout: .seconds(1))
        }
    }

    @Test("a credentials file lets its user in, with JetStream")
    func credentials() async throws {
        try await withServer(OperatorMode.configuration) { server in
            let file = try TemporaryFile(OperatorMode.credentials)
            try await expectConnection(NATSConfiguration(servers: [server.url], credentials: file.path))
        }
    }

    @Test("credentials of somebody else, and none, are refused with what to check")
    func foreignCredentials() async throws {
        try await withServer(OperatorMode.configuration) { server in
            let file = try TemporaryFile(OperatorMode.foreignCredentials)
            for credentials in [file.path, nil] {
                try await expectRefusal(
                    NATSConfiguration(servers: [server.url], credentials: credentials), "or nats.credentials")
            }
        }
    }

    @Test("a file that is no credentials file is an error at once, though no server is there")
    func unusableCredentials() throws {
        let file = try TemporaryFile("-----BEGIN CERTIFICATE-----\nsecret\n")
        for (path, reason) in [(file.path, "is no credentials file"), (file.path + ".missing", "cannot be read")] {
            let error = #expect(throws: BusError.self) {
                try NATSEventBus.connect(
                    NATSConfiguration(servers: ["nats://127.0.0.1:9"], credentials: path), logger: silent)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains(reason) == true && error?.message.contains("secret") == false)
        }
    }

    // MARK: TLS

    @Test(
        "with the authority's certificate a server with TLS is trusted, whichever way its URL is written",
        arguments: ["tls", "nats"])
    func trusted(scheme: String) async throws {
        let certificates = try TestCertificates()
        try await withServer(certificates.serverConfiguration()) { server in
            try await expectConnection(
                NATSConfiguration(
                    servers: ["\(scheme)://localhost:\(server.port)"],
                    tls: .init(authorities: certificates.path("ca.pem"))))
        }
    }

    @Test("a server that nobody trusted has signed, or with another name, is refused with what to check")
    func untrusted() async throws {
        let certificates = try TestCertificates()
        try await withServer(certificates.serverConfiguration()) { server in
            for (host, authorities) in [
                ("localhost", nil), ("localhost", certificates.path("other.pem")),
                ("127.0.0.1", certificates.path("ca.pem")),
            ] {
                try await expectRefusal(
                    NATSConfiguration(
                        servers: ["tls://\(host):\(server.port)"], tls: .init(authorities: authorities)),
                    "nats.tls.ca")
            }
        }
    }

    @Test("tls:// never goes on without TLS")
    func downgrade() async throws {
        try await withServer("") { server in
            try await expectRefusal(NATSConfiguration(servers: ["tls://localhost:\(server.port)"]), "speaks TLS")
        }
    }

    @Test("a server that asks for a certificate lets in those who have one")
    func clientCertificate() async throws {
        let certificates = try TestCertificates()
        try await withServer(certificates.serverConfiguration(asksForCertificate: true)) { server in
            var configuration = NATSConfiguration(
                servers: ["tls://localhost:\(server.port)"],
                tls: .init(
                    authorities: certificates.path("ca.pem"), certificate: certificates.path("client.pem"),
                    key: certificates.path("client.key")))
            try await expectConnection(configuration)
            configuration.tls.certificate = nil
            configuration.tls.key = nil
            let bus = try NATSEventBus.connect(configuration, logger: silent)
            // By TLS 1.3 a client is refused after it thinks that all is well, so the reason is not always told.
            await #expect(throws: BusError.self) {
                _ = try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
            }
            await bus.close(timeout: .zero)
        }
    }

    @Test("files that hold no certificates are an error at once")
    func unusableFiles() throws {
        let certificates = try TestCertificates()
        for tls in [
            NATSConfiguration.TLSFiles(authorities: certificates.path("missing.pem")),
            NATSConfiguration.TLSFiles(authorities: certificates.path("names")),
            NATSConfiguration.TLSFiles(
                certificate: certificates.path("client.pem"), key: certificates.path("server.key")),
        ] {
            let error = #expect(throws: BusError.self) {
                try NATSEventBus.connect(
                    NATSConfiguration(servers: ["tls://127.0.0.1:9"], tls: tls), logger: silent)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("cannot be used for TLS") == true, "\(String(describing: error))")
        }
    }

    // MARK: Pieces

    private func withServer(
        _ configuration: String, _ body: (NATSServerProcess) async throws -> Void
    ) async throws {
        let server = try await NATSServerProcess.start(configuration: configuration)
        do {
            try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    /// Connects, and stores and reads a message.
    private func expectConnection(_ configuration: NATSConfiguration) async throws {
        let bus = try NATSEventBus.connect(configuration, logger: silent)
        await connected(bus)
        try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
        try await bus.append(BusMessage(subject: "s", payload: [UInt8]("kept")))
        #expect(try await bus.lastMessage(in: "S", subject: "s")?.message.text == "kept")
        await bus.close(timeout: .seconds(1))
    }

    private func expectRefusal(_ configuration: NATSConfiguration, _ advice: String) async throws {
        let bus = try NATSEventBus.connect(configuration, logger: silent)
        let refusal = try #require(await refusal(of: bus))
        #expect(refusal.message.contains(advice), "\(refusal)")
        #expect(!bus.isConnected)
        await bus.close(timeout: .zero)
    }

    private func refusal(of bus: NATSEventBus) async -> BusError? {
        for await refusal in bus.refusals() { return refusal }
        return nil
    }
}

/// A file that goes with the test.
final class TemporaryFile {
    let path: String

    init(_ text: String) throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
