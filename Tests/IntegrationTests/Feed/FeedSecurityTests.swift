import EventBus
import EventBusNATS
import NATSClient
import Reactor
import TestKit
import Testing

@Suite("Who may listen to NATS", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct FeedSecurityTests {
    /// A feed alone; its bus has no server, so that nothing comes by it.
    private func withFeed(
        of nats: NATSConfiguration, _ body: (any MessageFeed, LogLines) async throws -> Void
    ) async throws {
        let reactor = try Reactor(name: "feed")
        defer { reactor.stop() }
        let log = LogLines()
        let bus = MemoryBus()
        let feed = NATSMessageFeed.make(nats, bus: bus, on: reactor, logger: log.logger)
        try await body(feed, log)
        (feed as? NATSMessageFeed)?.close()
    }

    private func withServer(_ configuration: String, _ body: (NATSServerProcess) async throws -> Void) async throws {
        let server = try await NATSServerProcess.start(configuration: configuration)
        try await body(server)
        await server.stop()
    }

    private func expectConnection(_ nats: NATSConfiguration) async throws {
        try await withFeed(of: nats) { feed, _ in
            await connected(feed)
            #expect(feed.isConnected)
            try await feed.flush(timeout: .seconds(10))
        }
    }

    @Test("user and password in the URL are used")
    func password() async throws {
        try await withServer("authorization { user: ann, password: \"s3cret\" }") { server in
            try await expectConnection(NATSConfiguration(servers: ["nats://ann:s3cret@127.0.0.1:\(server.port)"]))
        }
    }

    @Test("a token in the URL is used")
    func token() async throws {
        try await withServer("authorization { token: \"t0ken\" }") { server in
            try await expectConnection(NATSConfiguration(servers: ["nats://t0ken@127.0.0.1:\(server.port)"]))
        }
    }

    @Test("a credentials file lets its user in")
    func credentials() async throws {
        try await withServer(OperatorMode.configuration) { server in
            let file = try TemporaryFile(OperatorMode.credentials)
            try await expectConnection(NATSConfiguration(servers: [server.url], credentials: file.path))
        }
    }

    @Test("credentials of somebody else are refused with what to check")
    func foreignCredentials() async throws {
        try await withServer(OperatorMode.configuration) { server in
            let file = try TemporaryFile(OperatorMode.foreignCredentials)
            try await withFeed(of: NATSConfiguration(servers: [server.url], credentials: file.path)) { feed, log in
                try await log.expect("or nats.credentials")
                #expect(!feed.isConnected)
            }
        }
    }

    @Test("a wrong password is told with what to check, once, and tried until the server takes it")
    func wrongPassword() async throws {
        try await withServer("authorization { user: ann, password: \"right\" }") { server in
            let nats = NATSConfiguration(servers: ["nats://ann:guess@127.0.0.1:\(server.port)"])
            try await withFeed(of: nats) { feed, log in
                let line = try await log.expect("check user and password in nats.url")
                #expect(line.hasPrefix("error") && !line.contains("guess"))
                try server.reload(configuration: "authorization { user: ann, password: \"guess\" }")
                await connected(feed)
                #expect(log.lines.elements.count { $0.contains("check user and password") } == 1)
                // Thrown out while connected, it says why as well.
                let events = feed.connectionEvents()
                try server.reload(configuration: "authorization { user: ann, password: \"changed\" }")
                await wait(for: .disconnected, in: events)
                try server.reload(configuration: "authorization { user: ann, password: \"guess\" }")
                await wait(for: .connected, in: events)
            }
        }
    }

    @Test("a subject that this user may not hear is told, and the others go on")
    func permissions() async throws {
        let users = "authorization { users: [ { user: me, password: pw, permissions: { subscribe: [\"open\"] } } ] }"
        try await withServer(users) { server in
            let nats = NATSConfiguration(servers: ["nats://me:pw@127.0.0.1:\(server.port)"])
            try await withFeed(of: nats) { feed, log in
                _ = try feed.subscribe("secret") { _ in }
                _ = try feed.subscribe("open") { _ in }
                try await log.expect("Permissions Violation for Subscription to \"secret\"")
                try await feed.flush(timeout: .seconds(10))
                #expect(feed.isConnected)
            }
        }
    }

    // MARK: TLS

    @Test("a configuration that requires TLS, or forbids this connection, has the bus for a feed, and says so")
    func configured() throws {
        let reactor = try Reactor(name: "feed")
        defer { reactor.stop() }
        let log = LogLines()
        let bus = MemoryBus()
        let secure = NATSConfiguration(servers: ["nats://one", "tls://two"])
        #expect(NATSMessageFeed.make(secure, bus: bus, on: reactor, logger: log.logger) as? MemoryBus === bus)
        #expect(log.lines.elements.count == 1 && log.lines.elements[0].contains("the configuration requires TLS"))
        let plain = NATSConfiguration(servers: ["nats://one"])
        let feed = NATSMessageFeed.make(plain, bus: bus, isAllowed: false, on: reactor, logger: log.logger)
        #expect(feed as? MemoryBus === bus)
        #expect(log.lines.elements.count == 2)
    }

    @Test("a server that requires TLS has all subscriptions go over to the bus, and says so once")
    func required() async throws {
        let certificates = try TestCertificates()
        try await withServer(certificates.serverConfiguration()) { server in
            let nats = NATSConfiguration(
                servers: ["nats://localhost:\(server.port)"], tls: .init(authorities: certificates.path("ca.pem")))
            let reactor = try Reactor(name: "feed")
            defer { reactor.stop() }
            let bus = try NATSEventBus.connect(nats, logger: silent)
            await connected(bus)
            let log = LogLines()
            let feed = NATSMessageFeed.make(nats, bus: bus, on: reactor, logger: log.logger)
            let inbox = Inbox<BusMessage>()
            let before = try inbox.subscribe(to: "before", on: feed)
            await connected(feed)
            let after = try inbox.subscribe(to: "after", on: feed)
            try await feed.flush(timeout: .seconds(10))
            for name in ["before", "after"] { try bus.publish(BusMessage(subject: name)) }
            #expect(try await inbox.wait(for: 2).map(\.subject) == ["before", "after"])
            before.cancel()
            after.cancel()
            try await bus.flush(timeout: .seconds(10))
            for name in ["before", "after"] { try bus.publish(BusMessage(subject: name)) }
            try await bus.flush(timeout: .seconds(10))
            #expect(inbox.elements.count == 2)
            #expect(log.lines.elements.count { $0.contains("the server requires TLS") } == 1)
            // What happens to the bus is what happens to the feed now.
            let events = feed.connectionEvents()
            feed.reconnect()
            await wait(for: .disconnected, in: events)
            await wait(for: .connected, in: events)
            await bus.close(timeout: .seconds(1))
        }
    }
}

extension LogLines {
    /// The first line that holds `text`.
    @discardableResult
    fileprivate func expect(_ text: String) async throws -> String {
        var count = 0
        while true {
            count += 1
            if let line = try await lines.wait(for: count).first(where: { $0.contains(text) }) { return line }
            count = max(count, lines.elements.count)
        }
    }
}
