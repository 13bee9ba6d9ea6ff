import EventBus
import Events
import JSON
import NotifierApp
import NotifierCore
import TestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct EventProcessorTests {
    static let order: JSONValue = ["order_id": 1001, "user_id": "42", "status": "shipped"]

    private func inventory(_ quantity: Int64, version: Int64, product: String = "P-7") -> JSONValue {
        [
            "product_id": .string(product), "quantity": .integer(quantity), "threshold": 5,
            "version": .integer(version),
        ]
    }

    @Test("a changed order is on its user's channel and in the inbox, and on nobody else's")
    func order() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish("order.status_changed", Self.order)
        try await harness.publish("order.status_changed", ["order_id": 2, "user_id": "42", "status": "paid"])
        try await harness.handle(parts)
        let told = try await harness.notifications(on: "user:42")
        #expect(told.map { $0["message"] } == ["Your order status is now: shipped", "Your order status is now: paid"])
        #expect(told.map { $0["unread_count"] } == [1, 2])
        #expect(told.map { $0["read"] } == [false, false])
        #expect(told.map { $0["order_id"] } == [1001, 2])
        let inbox = try await harness.inbox("42", parts)
        #expect(inbox.items.map { .string($0.notification.id) } == told.reversed().map { $0["id"] })
        #expect(try await harness.notifications(on: "user:43").isEmpty)
        #expect(try await harness.handle(parts).isEmpty, "both are acknowledged")
        #expect(try await harness.deadLetters().isEmpty)
    }

    @Test("stock below its threshold alerts the administrators once, and tells them when it is over")
    func inventory() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        for (index, quantity) in [9, 3, 2, 5, 6, 4].enumerated() {
            try await harness.publish("inventory.changed", inventory(Int64(quantity), version: Int64(index)))
        }
        try await harness.publish("inventory.changed", inventory(99, version: 3))
        try await harness.handle(parts)
        let told = try await harness.notifications(on: "admin:inventory-alerts")
        #expect(told.map { $0["state"] } == ["firing", "resolved", "firing"])
        #expect(told.map { $0["quantity"] } == [3, 6, 4])
        #expect(told.allSatisfy { $0["unread_count"] == nil && $0["type"] == "inventory_alert" })
    }

    @Test("CloudEvents are read in both modes, and the same event in two forms is told once")
    func cloudEvents() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish(
            "order.status_changed", Self.order,
            headers: ["ce-specversion": "1.0", "ce-id": "e1", "ce-source": "/shop", "ce-type": "order.status_changed"])
        try await harness.publish(
            "order.status_changed",
            ["specversion": "1.0", "id": "e1", "source": "/shop", "type": "order.status_changed", "data": Self.order],
            headers: ["content-type": "application/cloudevents+json; charset=utf-8"])
        try await harness.publish(
            "order.status_changed",
            ["specversion": "1.0", "id": "e2", "source": "/shop", "type": "order.status_changed", "data": Self.order],
            headers: ["Content-Type": "application/cloudevents+json"])
        try await harness.handle(parts)
        #expect(try await harness.notifications(on: "user:42").count == 2)
        #expect(try await harness.deadLetters().isEmpty)
    }

    @Test(
        "what is no event goes to the dead letters with the reason, and the next one is handled",
        arguments: [
            ("{", [:], "the event's data must be JSON: unexpected end (at byte 1)"),
            ("", [:], "the event is empty"),
            ("[1]", [:], "the event's data must be an object, not an array"),
            (
                #"{"id":"1"}"#, ["Content-Type": "application/cloudevents+json"],
                "the CloudEvents attribute type is missing"
            ),
            (
                #"{"id":"1","source":"s","type":"t","data":3}"#, ["Content-Type": "application/cloudevents+json"],
                "the event's data must be an object, not a number"
            ),
            (
                #"{"order_id":1}"#, ["ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "0.3"],
                "the CloudEvents attribute specversion must be 1.0"
            ),
            (
                #"{"order_id":1,"status":"x"}"#, [:],
                "rule order-status, to: the field user_id is missing"
            ),
        ] as [(String, BusHeaders, String)])
    func malformed(text: String, headers: BusHeaders, reason: String) async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish("order.status_changed", text: text, headers: headers)
        try await harness.publish("order.status_changed", Self.order)
        try await harness.handle(parts)
        let letters = try await harness.deadLetters()
        #expect(letters.map(\.subject) == ["apus.dead.event.order.status_changed"])
        #expect(letters.map { $0.headers[HeaderName.reason] } == [reason])
        #expect(letters.map(\.payload) == [Array(text.utf8)])
        #expect(letters.first?.headers[HeaderName.originalSubject] == "apus.event.order.status_changed")
        #expect(try await harness.notifications(on: "user:42").count == 1)
        #expect(try await harness.handle(parts).isEmpty)
    }

    @Test("what the notifier tells is a CloudEvent, whose id stays when the same is told again")
    func emitsCloudEvents() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish("order.status_changed", Self.order)
        try await harness.publish("inventory.changed", inventory(3, version: 1))
        // The answer to the notification's publish is lost: the event comes again.
        harness.bus.inject(.answerIsLost, into: .append)
        try await harness.handle(parts)
        harness.passAcknowledgementWait()
        try await harness.handle(parts)
        for channel in ["user:42", "admin:inventory-alerts"] {
            let messages = try await harness.messages(on: channel)
            #expect(messages.count == 1)
            let message = try #require(messages.first)
            let event = try #require(try CloudEvent(headers: message.headers, payload: message.payload))
            #expect(event.type == "notification")
            #expect(event.source == "apus/notifier")
            let json = try JSONValue(parsing: event.data)
            #expect(json["id"] == .string(event.id))
            #expect(json["created_at"] == event.time.map { .string($0.description) })
            #expect(message.headers["ce-specversion"] == "1.0")
        }
    }

    @Test("an event that no rule is about is acknowledged, and is no dead letter")
    func unmatched() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish("invoice.paid", ["a": 1])
        try await harness.handle(parts)
        #expect(try await harness.handle(parts).isEmpty)
        #expect(try await harness.deadLetters().isEmpty)
    }

    @Test("an event that every delivery failed to handle goes to the dead letters")
    func poison() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts(policy: RetryPolicy(attempts: 1, deliveries: 2, firstDelay: .zero))
        try await harness.publish("order.status_changed", Self.order)
        for _ in 0..<2 {
            harness.bus.inject(.fails(BusError(.timeout, "no answer")), into: .keyValueRead)
            try await harness.handle(parts)
            harness.clock.advance(by: .seconds(120))
        }
        try await harness.handle(parts)
        let letters = try await harness.deadLetters()
        #expect(letters.map { $0.headers[HeaderName.reason] } == ["not handled in 2 deliveries"])
        #expect(letters.first?.headers[HeaderName.attempts] == "3")
    }

    @Test("a step that fails for good goes to the dead letters, one that may succeed is tried again")
    func failures() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts(
            policy: RetryPolicy(attempts: 3, hopelessAttempts: 2, firstDelay: .milliseconds(1)))
        harness.bus.inject(.fails(BusError(.timeout, "no answer")), into: .keyValueRead, times: 2)
        try await harness.publish("order.status_changed", Self.order)
        try await harness.handle(parts)
        #expect(try await harness.notifications(on: "user:42").count == 1)
        harness.bus.inject(.fails(BusError(.permission, "not allowed")), into: .keyValueRead, times: 2)
        try await harness.publish("order.status_changed", Self.order)
        try await harness.handle(parts)
        #expect(try await harness.deadLetters().map { $0.headers[HeaderName.reason] } == ["permission: not allowed"])
        #expect(try await harness.notifications(on: "user:42").count == 1)
    }

    @Test("a document that is not an inbox is left alone, and its event goes to the dead letters")
    func foreignDocument() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        let bucket = try await harness.bus.keyValue(InboxStore.bucket(harness.subjects))
        try await bucket.put("42", Array("garbage".utf8))
        try await harness.publish("order.status_changed", Self.order)
        try await harness.handle(parts)
        #expect(try await harness.deadLetters().count == 1)
        #expect(try await bucket.get("42")?.value == Array("garbage".utf8))
    }

    @Test("the trace of an event is carried along")
    func trace() async throws {
        let harness = try await NotifierHarness()
        let parts = try await harness.parts()
        try await harness.publish("order.status_changed", Self.order, headers: ["traceparent": "00-ab-cd-01"])
        try await harness.handle(parts)
        let stored = try await harness.bus.messages(in: "APUS_CHANNEL_USER", subject: nil, after: 0, limit: 9)
        #expect(stored.first?.message.headers[HeaderName.traceParent] == "00-ab-cd-01")
        #expect(stored.first?.message.headers[HeaderName.event] == "notification")
    }

    @Test("two notifiers that share the work tell each thing once")
    func twoNotifiers() async throws {
        let harness = try await NotifierHarness()
        let other = harness.bus.anotherConnection()
        let (first, second) = (try await harness.parts(), try await harness.parts(on: other))
        for number in 1...40 {
            try await harness.publish(
                "order.status_changed", ["order_id": .integer(Int64(number)), "user_id": "42", "status": "x"])
        }
        let consumer = try await harness.bus.consumer(EventProcessor.consumer(harness.subjects))
        for _ in 0..<4 {
            let one = try await consumer.fetch(5, wait: .zero)
            let two = try await consumer.fetch(5, wait: .zero)
            async let left: Void = first.processor.process(one)
            async let right: Void = second.processor.process(two)
            _ = await (left, right)
        }
        let told = try await harness.notifications(on: "user:42")
        #expect(Set(told.compactMap { $0["order_id"]?.integerValue }) == Set(1...40))
        #expect(told.count == 40)
        let inbox = try await harness.inbox("42", first)
        #expect(inbox.unreadCount == 40)
        #expect(inbox.items.map { $0.notification.fields["order_id"] } == (1...40).reversed().map { .integer($0) })
    }
}
