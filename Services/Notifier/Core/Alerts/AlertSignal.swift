internal import JSON

/// What an event says to an alert, before anything is known of the alert's state.
package struct AlertSignal: Sendable, Equatable {
    package let rule: Rule
    package let event: ReceivedEvent
    /// Which of the rule's alerts it is about: the key's values, as text.
    package let key: [String]
    /// Nil if the rule has none or the event says none; the order of the stream counts then.
    package let version: AlertVersion?
    package let fires: Bool
    package let clears: Bool

    /// Both conditions are evaluated whatever the alert's state is: an event that lacks the threshold is wrong even when
    /// nothing would have come of it.
    package init(rule: Rule, event: ReceivedEvent) throws(RuleFailure) {
        guard let alert = rule.alert else {
            throw RuleFailure(rule: rule.name, part: "alert", message: "the rule has no alert")
        }
        let fields = event.visibleFields
        self.rule = rule
        self.event = event
        var key: [String] = []
        for path in alert.key { key.append(try AlertSignal.text(of: path, in: fields, rule: rule)) }
        self.key = key
        version = try AlertSignal.version(alert, fields, rule: rule)
        fires = try rule.holds(alert.fire, "alert.fire", fields)
        clears =
            try alert.clear.map { clear throws(RuleFailure) in try rule.holds(clear, "alert.clear", fields) } ?? !fires
    }

    private static func text(of path: FieldPath, in fields: JSONObject, rule: Rule) throws(RuleFailure) -> String {
        switch path.value(in: fields) {
        case .string(let text)? where !text.isEmpty && text.utf8.count <= 200: return text
        case .integer(let number)?: return String(number)
        case .bool(let value)?: return String(value)
        case nil: throw rule.failure("alert.key", "the field \(path) is missing")
        case .string?: throw rule.failure("alert.key", "the field \(path) is empty or longer than 200 bytes")
        case let value?:
            throw rule.failure(
                "alert.key", "the field \(path) is \(value.kindDescription), but must be a string or an integer")
        }
    }

    private static func version(
        _ alert: AlertRule, _ fields: JSONObject, rule: Rule
    ) throws(RuleFailure) -> AlertVersion? {
        guard let path = alert.version, let value = path.value(in: fields), !value.isNull else { return nil }
        guard let version = AlertVersion(value) else {
            throw rule.failure(
                "alert.version", "the field \(path) must be a number or a time such as 2026-01-01T00:00:00Z")
        }
        return version
    }
}
