import Events
import JSON
import NotifierCore
import TestKit
import Testing

@Suite struct RuleReaderTests {
    /// Section 7 of the contract, as it stands there.
    static let contract: JSONValue = [
        [
            "name": "order-status", "event": "order.status_changed", "to": "user:{{user_id}}", "type": "order_update",
            "title": "Order {{order_id}}", "message": "Your order status is now: {{status}}",
        ],
        [
            "name": "low-inventory", "event": "inventory.changed", "to": "admin:inventory-alerts",
            "type": "inventory_alert",
            "alert": [
                "key": "product_id", "fire": "quantity < threshold", "clear": "quantity >= threshold * 1.2",
                "version": "version",
            ],
            "message": "Low inventory for product: {{product_id}}",
        ],
    ]

    private func problems(_ configuration: JSONValue) -> [String] {
        var reader = RuleReader()
        _ = reader.rules(configuration)
        return reader.problems.map(\.description)
    }

    @Test("without configuration the contract's rules hold")
    func builtIn() {
        var reader = RuleReader()
        #expect(reader.rules(nil) == reader.rules(Self.contract))
        #expect(reader.rules(nil).map(\.name) == ["order-status", "low-inventory"])
        #expect(reader.problems.isEmpty)
    }

    @Test("a configured rule replaces the built-in one of its name, and others come beside them")
    func overriding() throws {
        var reader = RuleReader()
        let rules = reader.rules([
            [
                "name": "order-status", "event": "order.*", "to": "user:{{buyer}}", "type": "order",
                "message": "{{status}}",
            ],
            [
                "name": "refund", "event": "refund.made", "to": "user:{{user_id}}", "type": "refund",
                "message": "Refunded",
            ],
        ])
        #expect(reader.problems.isEmpty)
        #expect(rules.map(\.name) == ["low-inventory", "order-status", "refund"])
        #expect(rules[1].to.source == "user:{{buyer}}")
        #expect(rules[1].title == nil)
    }

    @Test("a rule can be switched off")
    func switchedOff() {
        var reader = RuleReader()
        #expect(reader.rules([["name": "low-inventory", "enabled": false]]).map(\.name) == ["order-status"])
        #expect(reader.problems.isEmpty)
    }

    @Test("every problem is reported at once, with its place")
    func allProblems() {
        let found = problems([
            ["event": "a b", "to": "{{", "type": "x", "message": "m"],
            [
                "name": "one", "event": "e", "to": "user:1", "type": "t", "message": "m", "colour": "red",
                "when": "a <", "fields": 7, "alert": ["fire": "quantity <", "clear": 3, "version": ".", "until": 1],
            ],
            "rule",
            ["name": "one", "event": "e", "to": "user:1", "type": "t", "message": 5, "alert": true],
            ["name": "bad name", "event": "e", "to": "user:1", "type": "", "message": "m", "enabled": "yes"],
        ])
        #expect(
            found == [
                "[0].name: is missing",
                "[0].event: must be an event's type without spaces, where * stands for any text",
                "[0].to: the last tag is not closed",
                "[1].when: a value is missing at the end (column 4)",
                "[1].fields: must be the name of a field, or a list of such names",
                "[1].alert.key: is missing: the field that says which alert an event is about",
                "[1].alert.fire: a value is missing at the end (column 11)",
                "[1].alert.clear: must be a text, not a number",
                "[1].alert.version: must be the name of a field",
                "[1].alert.until: there is no such option; there are clear, fire, key, resolved_message, version",
                "[1].colour: there is no such option; there are "
                    + "alert, enabled, event, fields, message, name, title, to, type, when",
                "[2]: must be a mapping, not a string",
                "[3].message: must be a text, not a number",
                "[3].alert: must be a mapping, not a boolean",
                "[3].name: another rule has the same name",
                "[4].name: must be at most 64 letters, digits, _ or -",
                "[4].enabled: must be true or false, not a string",
                "[4].type: is empty",
            ])
    }

    @Test("rules must be a list")
    func notAList() {
        #expect(problems(["name": "x"]) == [": must be a list of rules"])
    }

    @Test(
        "an event's type matches a pattern as a naive matcher says", arguments: 0..<50)
    func patterns(seed: UInt64) {
        func naive(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                return naive(pattern.dropFirst(), text) || (!text.isEmpty && naive(pattern, text.dropFirst()))
            }
            return text.first == first && naive(pattern.dropFirst(), text.dropFirst())
        }
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let pattern = (0..<Int.random(in: 0...6, using: &random)).map { _ in "ab*.".randomElement(using: &random)! }
            let text = (0..<Int.random(in: 0...8, using: &random)).map { _ in "ab.".randomElement(using: &random)! }
            #expect(
                EventPattern(String(pattern)).matches(String(text)) == naive(pattern[...], text[...]),
                "seed \(seed): \(String(pattern)) on \(String(text))")
        }
    }
}
