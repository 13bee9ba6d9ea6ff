import EventBus
import EventBusNATS
import Events
import JSON
import NotifierApp
import NotifierCore
import ServiceKit
import ServiceLifecycle
import TestKit
import Testing

/// The same over a real server, which is killed meanwhile.
@Suite(.enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct NotifierNATSTests {
    @Test(
        "each event is told once and counted once, though the server is killed and a notifier cut off meanwhile"
    )
    func serverKilled() async throws {
        let server = try await NATSServerProcess.start()
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent)
        var notifier = try await start(on: server)
        let count = 60
        for number in 1...count {
            try await append(number, on: bus)
            switch number {
            case 15, 45:
                await server.kill()
                try await server.restart()
            case 30:
                // As if it were killed: whatever it had in hand comes again to the next.
                notifier.cancel()
                _ = await notifier.result
                notifier = try await start(on: server)
            default: break
            }
        }
        let told = try await notifications(count, on: bus)
        // What was in hand when the server died comes again after its acknowledgement wait, behind later events.
        let orders = told.compactMap { $0["order_id"]?.integerValue }
        #expect(orders.sorted() == (1...count).map { Int64($0) })
        let listed = try await bus.call(
            "notifications.list", ["limit": 200], subjects: .standard, as: Caller(user: "42"))
        #expect(listed["unread_count"] == .integer(Int64(count)))
        let dead = try await bus.messages(in: Subjects.standard.deadStream, subject: nil, after: 0, limit: 10)
        #expect(dead.isEmpty)
        notifier.cancel()
        _ = await notifier.result
        await bus.close(timeout: .seconds(2))
        await server.stop()
    }

    // MARK: Pieces

    /// A notifier with a connection of its own, ready. Inboxes hold 200 by default.
    private func start(on server: NATSServerProcess) async throws -> Task<Void, any Error> {
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent)
        let context = ServiceContext(name: "apus-notifier", bus: bus, logger: silent)
        let services = try await buildNotifier(
            NotifierConfiguration(rules: RuleBook(rules: BuiltInRules.all)), context)
        let running = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for service in services { group.addTask { try await service.run() } }
                try await group.waitForAll()
            }
            await bus.close(timeout: .zero)
        }
        while !context.readiness.isReady { try await Task.sleep(for: .milliseconds(5)) }
        return running
    }

    private func append(_ number: Int, on bus: NATSEventBus) async throws {
        let message = BusMessage(
            subject: Subjects.standard.event("order.status_changed"), headers: [HeaderName.messageID: "o-\(number)"],
            payload: Array(#"{"order_id":\#(number),"user_id":"42","status":"packed"}"#.utf8))
        try await patiently { _ = try await bus.append(message) }
    }

    private func notifications(_ count: Int, on bus: NATSEventBus) async throws -> [JSONValue] {
        var told: [JSONValue] = []
        var after: UInt64 = 0
        while told.count < count {
            try await patiently {
                let page = try await bus.messages(
                    in: Subjects.standard.historyStream(namespace: "user"),
                    subject: Subjects.standard.channel(try ChannelName("user:42")), after: after, limit: 100)
                told += try page.map { try JSONValue(parsing: $0.message.payload) }
                after = page.last?.sequence ?? after
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return told
    }

    private func patiently(_ operation: () async throws -> Void) async throws {
        while true {
            do {
                return try await operation()
            } catch let error as BusError where error.isRetryable || error.code == .notFound {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
