import EventBus
import Events
import JSON
import NotifierApp
import NotifierCore
import ServiceKit
import ServiceLifecycle
import Testing

@Suite(.timeLimit(.minutes(1))) struct NotifierServiceTests {
    /// Waits for the next notification on a channel.
    private func nextMessage(_ messages: inout AsyncStream<BusMessage>.Iterator) async throws -> JSONValue {
        try JSONValue(parsing: try #require(await messages.next()).payload)
    }

    @Test("the service handles events, follows the firing alerts and answers calls, from a bus that was empty")
    func wholeService() async throws {
        let bus = MemoryBus()
        let context = ServiceContext(name: "apus-notifier", bus: bus, logger: silent)
        let configuration = NotifierConfiguration(rules: RuleBook(rules: BuiltInRules.all))
        let services = try await buildNotifier(configuration, context)
        let running = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for service in services { group.addTask { try await service.run() } }
                try await group.waitForAll()
            }
        }
        defer { running.cancel() }
        let (messages, continuation) = AsyncStream<BusMessage>.makeStream()
        let subscription = try bus.subscribe("apus.live.>") { continuation.yield($0) }
        defer { subscription.cancel() }
        var told = messages.makeAsyncIterator()

        while !context.readiness.isReady { try await Task.sleep(for: .milliseconds(2)) }
        try await bus.append(
            BusMessage(
                subject: "apus.event.order.status_changed",
                payload: Array(#"{"order_id":1001,"user_id":"42","status":"shipped"}"#.utf8)))
        let order = try await nextMessage(&told)
        #expect(order["message"] == "Your order status is now: shipped" && order["unread_count"] == 1)
        try await bus.append(
            BusMessage(
                subject: "apus.event.inventory.changed",
                payload: Array(#"{"product_id":"P-7","quantity":3,"threshold":5,"version":18}"#.utf8)))
        let alert = try await nextMessage(&told)
        #expect(alert["state"] == "firing")

        let admin = Caller(user: "1", roles: ["admin"])
        var alerts: JSONValue = [:]
        while alerts["alerts"]?.arrayValue?.isEmpty ?? true {
            do { alerts = try await bus.call("alerts.list", [:], subjects: .standard, as: admin) } catch {}
            await Task.yield()
        }
        #expect(alerts["alerts"]?.arrayValue?.map { $0["product_id"] } == ["P-7"])
        #expect(alerts["alerts"]?.arrayValue?.first?["rule"] == "low-inventory")

        try await bus.append(
            BusMessage(
                subject: "apus.event.inventory.changed",
                payload: Array(#"{"product_id":"P-7","quantity":30,"threshold":5,"version":19}"#.utf8)))
        #expect(try await nextMessage(&told)["state"] == "resolved")
        while try await bus.call("alerts.list", [:], subjects: .standard, as: admin)["alerts"] != [] {
            await Task.yield()
        }
        running.cancel()
        _ = await running.result
    }

    @Test("wrong settings are reported with their keys")
    func configuration() throws {
        var settings = SettingsReader(
            definitions: NotifierConfiguration.definitions,
            file: ["notifier": ["rules": [["name": "x", "to": "{{"]], "inbox": ["size": 0]]])
        _ = NotifierConfiguration(from: &settings)
        #expect(
            settings.problems.map(\.key) == [
                "notifier.rules[0].event", "notifier.rules[0].to", "notifier.rules[0].type",
                "notifier.rules[0].message",
                "notifier.inbox.size",
            ])
    }

    @Test("without settings the built-in rules hold")
    func defaults() throws {
        var settings = SettingsReader(definitions: NotifierConfiguration.definitions)
        let configuration = NotifierConfiguration(from: &settings)
        #expect(settings.problems.isEmpty)
        #expect(configuration.rules.rules == BuiltInRules.all)
        #expect(configuration.inboxLimits == Inbox.Limits())
    }
}
