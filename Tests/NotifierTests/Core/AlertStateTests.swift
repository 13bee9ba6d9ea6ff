import Events
import JSON
import NotifierCore
import Testing

@Suite struct AlertStateTests {
    private func signal(
        _ quantity: Int64, threshold: Int64 = 5, version: JSONValue? = nil, second: Int64
    ) throws -> AlertSignal {
        var fields: JSONObject = [
            "product_id": "P-7", "quantity": .integer(quantity), "threshold": .integer(threshold),
        ]
        fields["version"] = version
        let decision = RuleBookTests.builtIn.decide(
            received("inventory.changed", fields, identity: "event-\(second)", second: second))
        #expect(decision.failures.isEmpty)
        return try #require(decision.signals.first)
    }

    @Test("an alert fires once, keeps its quantity up to date and is resolved above the second threshold")
    func life() throws {
        var state = AlertState()
        #expect(try state.apply(signal(9, second: 1)) == .recorded)
        #expect(state.outbox.isEmpty)
        #expect(try state.apply(signal(3, second: 2)) == .fired)
        #expect(try state.apply(signal(2, second: 3)) == .recorded)
        #expect(try state.apply(signal(5, second: 4)) == .recorded, "between the two thresholds nothing changes")
        guard case .firing(let incident) = state.phase else {
            Issue.record("the alert does not fire")
            return
        }
        #expect(incident.notification.fields["quantity"] == 5)
        #expect(incident.since == state.outbox[0].notification.createdAt)
        #expect(try state.apply(signal(6, second: 5)) == .resolved)
        #expect(state.outbox.map(\.notification.alert?.state) == [.firing, .resolved])
        #expect(state.outbox.map(\.channel.description) == ["admin:inventory-alerts", "admin:inventory-alerts"])
        #expect(Set(state.outbox.map(\.notification.alert?.incident)).count == 1)
        #expect(
            state.outbox.map(\.notification.message) == [
                "Low inventory for product: P-7", "Resolved: Low inventory for product: P-7",
            ])
        #expect(state.outbox.map { $0.notification.fields["quantity"] } == [3, 6])
        #expect(try state.apply(signal(1, second: 6)) == .fired)
        #expect(state.outbox[2].notification.alert?.incident != incident.id, "a new incident has a new id")
        #expect(Set(state.outbox.map(\.notification.id)).count == 3)
    }

    @Test("what a firing alert's notification looks like")
    func notification() throws {
        var state = AlertState()
        #expect(try state.apply(signal(3, version: 18, second: 2)) == .fired)
        var json = try #require(state.outbox.first?.notification.json)
        json["id"] = nil
        json["incident"] = nil
        #expect(
            JSONValue.object(json) == [
                "type": "inventory_alert", "state": "firing", "product_id": "P-7",
                "quantity": 3, "threshold": 5, "version": 18, "message": "Low inventory for product: P-7",
                "created_at": "2026-01-01T00:00:02Z",
            ])
    }

    @Test("an event of an older or the same version changes nothing, in whatever order the stream has them")
    func versions() throws {
        var state = AlertState()
        #expect(try state.apply(signal(3, version: 18, second: 1)) == .fired)
        let before = state
        #expect(try state.apply(signal(9, version: 17, second: 2)) == .stale)
        #expect(try state.apply(signal(9, version: 18, second: 3)) == .stale)
        #expect(state == before)
        #expect(try state.apply(signal(9, version: 19, second: 0)) == .resolved)
    }

    @Test("without a version the order of the stream decides, and redelivery changes nothing")
    func streamOrder() throws {
        var state = AlertState()
        #expect(try state.apply(signal(3, second: 5)) == .fired)
        #expect(try state.apply(signal(9, second: 4)) == .stale)
        #expect(try state.apply(signal(3, second: 5)) == .stale)
        #expect(try state.apply(signal(9, second: 6)) == .resolved)
        #expect(try state.apply(signal(1, version: 1, second: 7)) == .fired)
        #expect(try state.apply(signal(9, second: 6)) == .stale)
        #expect(try state.apply(signal(9, second: 8)) == .resolved)
        #expect(try state.apply(signal(1, version: 1, second: 9)) == .stale, "the last version said is still known")
    }

    @Test("a version may be a time, and a sender that changes to times is newer")
    func timeVersions() throws {
        var state = AlertState()
        #expect(try state.apply(signal(3, version: 18, second: 1)) == .fired)
        #expect(try state.apply(signal(9, version: "2026-05-01T10:00:00Z", second: 2)) == .resolved)
        #expect(try state.apply(signal(1, version: "2026-05-01T11:00:00+02:00", second: 3)) == .stale)
        #expect(try state.apply(signal(1, version: "2026-05-01T10:00:00.001Z", second: 4)) == .fired)
    }

    @Test("every sequence of five events ends as the plain description of an alert says")
    func exhaustive() throws {
        // Below, at, and above the thresholds; version -1 is an old event that comes late.
        let steps: [(quantity: Int64, isLate: Bool)] = [(1, false), (5, false), (9, false), (1, true), (9, true)]
        let count = 5
        var total = 1
        for _ in 0..<count { total *= steps.count }
        for number in 0..<total {
            var state = AlertState()
            var rest = number
            var (fires, told) = (false, 0)
            var newest: Int64?
            for position in 1...count {
                let step = steps[rest % steps.count]
                rest /= steps.count
                let version = (newest ?? 100) + (step.isLate ? -1 : 1)
                let isNews = newest == nil || !step.isLate
                _ = try state.apply(signal(step.quantity, version: .integer(version), second: Int64(position)))
                if isNews {
                    newest = version
                    if !fires && step.quantity < 5 || fires && step.quantity >= 6 {
                        fires.toggle()
                        told += 1
                    }
                }
                if case .firing = state.phase { #expect(fires) } else { #expect(!fires) }
                #expect(state.outbox.count == told, "sequence \(number)")
                #expect(AlertState(json: state.json) == state)
            }
        }
    }

    @Test("what is published leaves the outbox, and only that")
    func outbox() throws {
        var state = AlertState()
        _ = try state.apply(signal(3, second: 1))
        _ = try state.apply(signal(9, second: 2))
        state.published([state.outbox[0].notification.id, "another"])
        #expect(state.outbox.map(\.notification.alert?.state) == [.resolved])
    }

    @Test("an event that a template has no text for leaves the state as it was")
    func failureChangesNothing() throws {
        var reader = RuleReader()
        let book = RuleBook(
            rules: reader.rules([
                [
                    "name": "cold", "event": "temperature", "to": "admin:{{room}}", "type": "cold",
                    "message": "{{degrees}}",
                    "alert": ["key": ["building", "room"], "fire": "degrees < 15"],
                ]
            ]))
        let fine = book.decide(received("temperature", ["building": 1, "room": "a b", "degrees": 10], second: 1))
        let signal = try #require(fine.signals.first)
        #expect(signal.key == ["1", "a b"])
        var state = AlertState()
        #expect(try state.apply(signal) == .fired)
        #expect(state.outbox.first?.channel.name == "a b")

        let broken = book.decide(
            received("temperature", ["building": 1, "room": "..", "degrees": 10], identity: "x", second: 1))
        var untouched = AlertState()
        #expect(throws: RuleFailure.self) { try untouched.apply(#require(broken.signals.first)) }
        #expect(untouched == AlertState())
    }

    @Test("a rule without clear ends its alert when fire no longer holds")
    func withoutClear() throws {
        var reader = RuleReader()
        let book = RuleBook(
            rules: reader.rules([
                [
                    "name": "cold", "event": "t", "to": "admin:x", "type": "cold", "message": "{{state}}",
                    "alert": [
                        "key": "room", "fire": "degrees < 15", "resolved_message": "{{room}} is warm: {{state}}",
                    ],
                ]
            ]))
        var state = AlertState()
        for (second, degrees) in [(1, 10), (2, 15)] as [(Int64, Int64)] {
            let decision = book.decide(
                received("t", ["room": "r", "degrees": .integer(degrees)], identity: "\(second)", second: second))
            _ = try state.apply(#require(decision.signals.first))
        }
        #expect(state.outbox.map(\.notification.message) == ["firing", "r is warm: resolved"])
    }

    @Test("a document that is no alert's state is not read as one", arguments: ["{}", "[]", #"{"phase":"firing"}"#])
    func foreignDocument(text: String) throws {
        #expect(AlertState(json: try JSONValue(parsing: text)) == nil)
    }
}
