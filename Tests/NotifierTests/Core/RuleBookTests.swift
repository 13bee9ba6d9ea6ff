import Events
import JSON
import NotifierCore
import Testing

@Suite struct RuleBookTests {
    static let builtIn = RuleBook(rules: BuiltInRules.all)

    private func rules(_ configuration: JSONValue) -> RuleBook {
        var reader = RuleReader()
        let book = RuleBook(rules: reader.rules(configuration))
        #expect(reader.problems.isEmpty)
        return book
    }

    @Test("a changed order is told to its user, with the event's fields")
    func orderStatus() throws {
        let decision = Self.builtIn.decide(
            received(
                "order.status_changed", ["order_id": 1001, "user_id": "42", "status": "shipped", "carrier": "post"]))
        let notice = try #require(decision.notices.first)
        #expect(decision.notices.count == 1 && decision.failures.isEmpty && decision.isMatched)
        #expect(notice.channel.description == "user:42")
        #expect(notice.user == "42")
        var json = notice.notification.json
        #expect(json["id"]?.stringValue?.isEmpty == false)
        json["id"] = nil
        #expect(
            JSONValue.object(json) == [
                "type": "order_update", "title": "Order 1001", "message": "Your order status is now: shipped",
                "order_id": 1001, "user_id": "42", "status": "shipped", "carrier": "post",
                "created_at": "2026-01-01T00:00:01Z",
            ])
    }

    @Test("a user's id may be an integer")
    func integerUser() {
        let decision = Self.builtIn.decide(
            received("order.status_changed", ["order_id": 1, "user_id": 42, "status": "shipped"]))
        #expect(decision.notices.map(\.channel.description) == ["user:42"])
    }

    @Test("the same event gives the same notification, another one gives another")
    func identity() throws {
        let fields: JSONObject = ["order_id": 1, "user_id": "42", "status": "shipped"]
        let first = Self.builtIn.decide(received("order.status_changed", fields, identity: "a"))
        #expect(first == Self.builtIn.decide(received("order.status_changed", fields, identity: "a")))
        let second = Self.builtIn.decide(received("order.status_changed", fields, identity: "b"))
        #expect(first.notices[0].notification.id != second.notices[0].notification.id)
    }

    @Test(
        "an event that a rule cannot handle is a failure that says why",
        arguments: [
            (
                "order.status_changed", ["order_id": 1, "status": "x"],
                "rule order-status, to: the field user_id is missing"
            ),
            (
                "order.status_changed", ["order_id": 1, "user_id": "", "status": "x"],
                "rule order-status, to: a channel's name has 1 to 200 bytes"
            ),
            (
                "order.status_changed", ["order_id": 1, "user_id": ["42"], "status": "x"],
                "rule order-status, to: the field user_id is an array, not text"
            ),
            (
                "order.status_changed", ["user_id": "42", "status": "x"],
                "rule order-status, title: the field order_id is missing"
            ),
            (
                "inventory.changed", ["product_id": "P", "quantity": 3],
                "rule low-inventory, alert.fire: the field threshold is missing (column 12)"
            ),
            (
                "inventory.changed", ["product_id": "P", "quantity": "3", "threshold": 5],
                "rule low-inventory, alert.fire: a string and a number cannot be compared by < (column 10)"
            ),
            (
                "inventory.changed", ["quantity": 3, "threshold": 5],
                "rule low-inventory, alert.key: the field product_id is missing"
            ),
            (
                "inventory.changed", ["product_id": "P", "quantity": 3, "threshold": 5, "version": "new"],
                "rule low-inventory, alert.version: "
                    + "the field version must be a number or a time such as 2026-01-01T00:00:00Z"
            ),
        ] as [(String, JSONObject, String)])
    func failures(type: String, fields: JSONObject, expected: String) {
        let decision = Self.builtIn.decide(received(type, fields))
        #expect(decision.failures.map(\.description) == [expected])
        #expect(decision.notices.isEmpty && decision.signals.isEmpty)
    }

    @Test("one rule's failure does not keep the others from what they do")
    func independence() {
        let book = rules([
            [
                "name": "staff", "event": "order.*", "to": "admin:orders", "type": "t",
                "message": "{{event_type}}: {{status}}",
            ]
        ])
        let decision = book.decide(received("order.status_changed", ["order_id": 1, "status": "lost"]))
        #expect(decision.failures.count == 1)
        #expect(decision.notices.map(\.notification.message) == ["order.status_changed: lost"])
        #expect(decision.notices.first?.user == nil)
    }

    @Test("an event that no rule is about matches none")
    func unmatched() {
        let book = rules([
            [
                "name": "vip", "event": "visit", "to": "admin:x", "type": "t", "message": "m",
                "when": "has(vip) && vip",
            ]
        ])
        #expect(!book.decide(received("invoice.paid", [:])).isMatched)
        #expect(!book.decide(received("visit", [:])).isMatched)
        #expect(!book.decide(received("visit", ["vip": false])).isMatched)
        #expect(book.decide(received("visit", ["vip": true])).isMatched)
    }

    @Test("a rule names the fields that its notifications carry")
    func carriedFields() throws {
        let book = rules([
            [
                "name": "sale", "event": "sale", "to": "user:{{seller}}", "type": "sale", "message": "Sold",
                "fields": ["item", "buyer.name"],
            ]
        ])
        let decision = book.decide(
            received("sale", ["seller": "7", "item": "pen", "margin": 0.9, "buyer": ["name": "Åse", "card": "1"]]))
        #expect(decision.notices.first?.notification.fields == ["item": "pen", "buyer.name": "Åse"])
    }

    @Test("an event's fields never replace the notification's own")
    func reservedNames() {
        let decision = Self.builtIn.decide(
            received(
                "order.status_changed",
                ["order_id": 1, "user_id": "42", "status": "x", "id": "forged", "read": true, "unread_count": 99]))
        let json = decision.notices.first?.notification.json
        #expect(json?["id"] != "forged" && json?["read"] == nil && json?["unread_count"] == nil)
    }

    @Test("a notification that would not fit is a failure")
    func size() {
        let blob = JSONValue.string(String(repeating: "x", count: Notification.maximumBytes))
        let decision = Self.builtIn.decide(
            received("order.status_changed", ["order_id": 1, "user_id": "42", "status": "x", "blob": blob]))
        #expect(decision.failures.map(\.part) == ["fields"])
    }
}
