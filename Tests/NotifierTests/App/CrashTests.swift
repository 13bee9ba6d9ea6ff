import EventBus
import Events
import JSON
import NotifierApp
import NotifierCore
import TestKit
import Testing

/// A notifier dies at each step in turn, before it or after it; another one gets what was not acknowledged.
@Suite(.timeLimit(.minutes(1))) struct CrashTests {
    struct Outcome: Equatable {
        var orders: [JSONValue?] = []
        var unread: [JSONValue?] = []
        var inbox: [JSONValue?] = []
        var alerts: [JSONValue?] = []
        var deadLetters: Set<String> = []
    }

    private func publishAll(_ harness: NotifierHarness) async throws {
        try await harness.publish("order.status_changed", ["order_id": 1, "user_id": "42", "status": "paid"])
        try await harness.publish(
            "inventory.changed", ["product_id": "P", "quantity": 3, "threshold": 5, "version": 1])
        try await harness.publish("order.status_changed", ["order_id": 2, "user_id": "42", "status": "shipped"])
        try await harness.publish("order.status_changed", text: "{")
        try await harness.publish(
            "inventory.changed", ["product_id": "P", "quantity": 9, "threshold": 5, "version": 2])
    }

    private func outcome(_ harness: NotifierHarness, _ parts: NotifierParts) async throws -> Outcome {
        let orders = try await harness.notifications(on: "user:42")
        return Outcome(
            orders: orders.map { $0["order_id"] }, unread: orders.map { $0["unread_count"] },
            inbox: try await harness.inbox("42", parts).items.map { $0.notification.fields["order_id"] },
            alerts: try await harness.notifications(on: "admin:inventory-alerts").map { $0["state"] },
            deadLetters: Set(
                try await harness.deadLetters().compactMap { $0.headers[HeaderName.originalSubject] }))
    }

    static let expected = Outcome(
        orders: [1, 2], unread: [1, 2], inbox: [2, 1], alerts: ["firing", "resolved"],
        deadLetters: ["apus.event.order.status_changed"])

    private static let death = BusError(.timeout, "the process has died")

    @Test(
        "whatever step a notifier dies at, nothing is lost and nothing is told twice",
        arguments: CrashPoint.Moment.allCases)
    func everyStep(moment: CrashPoint.Moment) async throws {
        var step = 1
        while true {
            let harness = try await NotifierHarness()
            try await publishAll(harness)
            let crash = CrashPoint(at: step, moment, error: Self.death)
            let failing = FaultyBus(harness.bus, dyingAt: crash)
            let dying = try await harness.parts(on: failing)
            try await harness.handle(dying, on: failing)

            // Longer than the server remembers the ids of messages.
            harness.clock.advance(by: .seconds(600))
            let survivor = try await harness.parts()
            try await harness.handle(survivor)
            harness.passAcknowledgementWait()
            #expect(try await harness.handle(survivor).isEmpty, "step \(step)")
            let outcome = try await outcome(harness, survivor)
            #expect(Set(outcome.orders) == Set(Self.expected.orders), "step \(step)")
            #expect(outcome.orders.count == 2, "step \(step)")
            #expect(outcome.inbox == Self.expected.inbox, "step \(step)")
            #expect(outcome.alerts == Self.expected.alerts, "step \(step)")
            #expect(outcome.deadLetters == Self.expected.deadLetters, "step \(step)")
            guard crash.hasHappened else { break }
            step += 1
        }
        // One that lived to the end was tested last, and the order is then exact too.
        #expect(step > 15)
    }

    @Test("dying again and again at different places changes nothing either", arguments: 0..<20)
    func repeatedDeaths(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let harness = try await NotifierHarness()
        try await publishAll(harness)
        for _ in 0..<6 {
            let moment = CrashPoint.Moment.allCases.randomElement(using: &random) ?? .before
            let crash = CrashPoint(at: Int.random(in: 1...20, using: &random), moment, error: Self.death)
            let failing = FaultyBus(harness.bus, dyingAt: crash)
            try await harness.handle(harness.parts(on: failing), on: failing)
            harness.clock.advance(by: .seconds(Int64.random(in: 11...300, using: &random)))
        }
        let survivor = try await harness.parts()
        try await harness.handle(survivor)
        let outcome = try await outcome(harness, survivor)
        #expect(Set(outcome.orders) == Set(Self.expected.orders), "seed \(seed)")
        #expect(outcome.orders.count == 2, "seed \(seed)")
        #expect(outcome.inbox == Self.expected.inbox, "seed \(seed)")
        #expect(outcome.alerts == Self.expected.alerts, "seed \(seed)")
    }
}
