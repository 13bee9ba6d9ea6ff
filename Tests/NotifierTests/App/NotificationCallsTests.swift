import EventBus
import Events
import JSON
import NotifierApp
import NotifierCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct NotificationCallsTests {
    static let user = Caller(user: "42")
    static let admin = Caller(user: "1", roles: ["admin"])

    /// Runs the calls of a notifier that has told user 42 of three orders.
    private func withCalls(
        _ body: (NotifierHarness, NotifierParts, @Sendable (String, JSONValue, Caller) async throws -> JSONValue)
            async throws
            -> Void
    ) async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        for number in 1...3 {
            try await harness.publish(
                "order.status_changed", ["order_id": .integer(Int64(number)), "user_id": "42", "status": "x"])
        }
        try await harness.handle(parts)
        let bus = harness.bus
        let running = Task { try await parts.calls.run() }
        let call: @Sendable (String, JSONValue, Caller) async throws -> JSONValue = { method, parameters, caller in
            while true {
                do {
                    return try await bus.call(method, parameters, subjects: .standard, as: caller)
                } catch let error as BusError where error.code == .noResponders {
                    await Task.yield()
                }
            }
        }
        do {
            try await body(harness, parts, call)
        } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        try await running.value
    }

    @Test("a user lists their own notifications, page by page")
    func list() async throws {
        try await withCalls { _, _, call in
            let first = try await call("notifications.list", ["limit": 2], Self.user)
            let items = try #require(first["notifications"]?.arrayValue)
            #expect(items.map { $0["order_id"] } == [3, 2])
            #expect(first["unread_count"] == 3 && first["has_more"] == true && first["dropped"] == 0)
            let second = try await call("notifications.list", ["before": #require(items[1]["id"])], Self.user)
            #expect(second["notifications"]?.arrayValue?.map { $0["order_id"] } == [1])
            #expect(second["has_more"] == false)
            let other = try await call("notifications.list", [:], Caller(user: "43"))
            #expect(other["notifications"] == [] && other["unread_count"] == 0)
        }
    }

    @Test("reading is told to the user's other windows with the new count")
    func markRead() async throws {
        try await withCalls { harness, _, call in
            let list = try await call("notifications.list", [:], Self.user)
            let ids = try #require(list["notifications"]?.arrayValue?.compactMap { $0["id"] })
            let marked = try await call("notifications.mark_read", ["id": ids[1]], Self.user)
            #expect(marked["unread_count"] == 2 && marked["changed"] == true)
            let again = try await call("notifications.mark_read", ["id": ids[1]], Self.user)
            #expect(again["unread_count"] == 2 && again["changed"] == false)
            let all = try await call("notifications.mark_all_read", ["up_to": ids[1]], Self.user)
            #expect(all["unread_count"] == 1 && all["marked"] == 1)
            let rest = try await call("notifications.mark_all_read", [:], Self.user)
            #expect(rest["unread_count"] == 0 && rest["marked"] == 1)
            let news = try await harness.notifications(on: "user:42", event: "notification_read")
            #expect(news.map { $0["ids"] } == [[ids[1]], [ids[2]], [ids[0]]])
            #expect(news.map { $0["unread_count"] } == [2, 1, 0])
            let revisions = news.compactMap { $0["inbox_revision"]?.integerValue }
            #expect(revisions.count == 3 && revisions == revisions.sorted())
        }
    }

    @Test("a muted type is neither published nor listed nor counted")
    func preferences() async throws {
        try await withCalls { harness, parts, call in
            #expect(try await call("notifications.preferences.get", [:], Self.user) == ["muted": []])
            #expect(
                try await call("notifications.preferences.set", ["muted": ["order_update"]], Self.user)
                    == ["muted": ["order_update"]])
            #expect(try await call("notifications.preferences.get", [:], Self.user) == ["muted": ["order_update"]])
            try await harness.publish("order.status_changed", ["order_id": 4, "user_id": "42", "status": "x"])
            try await harness.handle(parts)
            let list = try await call("notifications.list", [:], Self.user)
            #expect(list["notifications"] == [] && list["unread_count"] == 0)
            #expect(try await harness.notifications(on: "user:42").count == 3)
            _ = try await call("notifications.preferences.set", ["muted": []], Self.user)
            #expect(try await call("notifications.list", [:], Self.user)["unread_count"] == 3)
            let news = try await harness.notifications(on: "user:42", event: "notification_preferences")
            #expect(news.map { $0["unread_count"] } == [0, 3])
        }
    }

    @Test("sending reaches a user's inbox or a channel, and the same id is sent once")
    func send() async throws {
        try await withCalls { harness, _, call in
            let parameters: JSONValue = [
                "user": "7", "type": "hello", "title": "Hi", "message": "<b>Welcome</b>", "link": "/start", "id": "w1",
            ]
            let caller = Caller(roles: ["notifier"])
            let sent = try await call("notifications.send", parameters, caller)
            #expect(sent["delivered"] == true)
            #expect(try await call("notifications.send", parameters, caller) == sent)
            let told = try await harness.notifications(on: "user:7")
            #expect(told.count == 1)
            #expect(told.first?["link"] == "/start" && told.first?["message"] == "<b>Welcome</b>")
            #expect(told.first?["unread_count"] == 1 && told.first?["id"] == sent["id"])
            _ = try await call(
                "notifications.send", ["channel": "topic:news", "type": "t", "title": "", "message": "m"], Self.admin)
            #expect(try await harness.notifications(on: "topic:news").count == 1)
        }
    }

    @Test(
        "what may not or cannot be done is refused with the reason",
        arguments: [
            ("notifications.list", [:], Caller(), 401),
            ("notifications.list", ["limit": 0], user, 400),
            ("notifications.list", ["limit": "many"], user, 400),
            ("notifications.list", ["limit": 1e300], user, 400),
            ("notifications.list", ["before": 5], user, 400),
            ("notifications.list", [1], user, 400),
            ("notifications.mark_read", [:], user, 400),
            ("notifications.mark_read", ["id": "nothing"], user, 404),
            ("notifications.mark_read", ["id": "nothing"], Caller(), 401),
            ("notifications.mark_all_read", [:], Caller(), 401),
            ("notifications.preferences.set", ["muted": "all"], user, 400),
            ("notifications.preferences.set", ["muted": [1]], user, 400),
            ("notifications.preferences.set", [:], user, 400),
            ("notifications.send", ["user": "7", "type": "t", "title": "t", "message": "m"], user, 403),
            ("notifications.send", ["type": "t", "title": "t", "message": "m"], admin, 400),
            (
                "notifications.send", ["user": "7", "channel": "topic:x", "type": "t", "title": "t", "message": "m"],
                admin, 400
            ),
            ("notifications.send", ["channel": "No:x", "type": "t", "title": "t", "message": "m"], admin, 400),
            ("notifications.send", ["user": "7", "type": "t", "title": "t"], admin, 400),
            ("alerts.list", [:], user, 403),
        ] as [(String, JSONValue, Caller, Int)])
    func refusals(method: String, parameters: JSONValue, caller: Caller, code: Int) async throws {
        try await withCalls { _, _, call in
            let error = await #expect(throws: RPCError.self) { try await call(method, parameters, caller) }
            #expect(error?.code == code, "\(error?.message ?? "")")
        }
    }

    @Test("without the bus's storage a call asks to try again")
    func unavailable() async throws {
        try await withCalls { harness, _, call in
            _ = try await call("notifications.list", [:], Self.user)
            harness.bus.inject(.fails(BusError(.timeout, "no answer")), into: .keyValueRead)
            let error = await #expect(throws: RPCError.self) { try await call("notifications.list", [:], Self.user) }
            #expect(error?.code == 503)
        }
    }
}
