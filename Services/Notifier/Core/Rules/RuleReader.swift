package import JSON

/// Something wrong with the rules in a configuration, and where: `[1].alert.fire`.
package struct RuleProblem: Sendable, Equatable, CustomStringConvertible {
    /// The place below the list of rules.
    package let path: String
    package let message: String

    package var description: String { "\(path): \(message)" }
}

/// Reads rules from a configuration, and reports everything that is wrong with them at once.
package struct RuleReader {
    package private(set) var problems: [RuleProblem] = []

    package init() {}

    /// The most rules that one notifier takes: every event is held against each of them.
    package static let maximumCount = 1000

    /// The rules that hold with this configuration: those that are built in, with those of `configuration` put over
    /// them by name. A rule with `enabled: false` is none. Nil is a configuration without the key.
    package mutating func rules(_ configuration: JSONValue?) -> [Rule] {
        var rules = BuiltInRules.all
        guard let configuration, !configuration.isNull else { return rules }
        guard let elements = configuration.arrayValue else {
            problems.append(RuleProblem(path: "", message: "must be a list of rules"))
            return rules
        }
        guard elements.count <= RuleReader.maximumCount else {
            problems.append(RuleProblem(path: "", message: "has more than \(RuleReader.maximumCount) rules"))
            return rules
        }
        var names: Set<String> = []
        for (index, element) in elements.enumerated() {
            guard let members = element.objectValue else {
                problems.append(
                    RuleProblem(path: "[\(index)]", message: "must be a mapping, not \(element.kindDescription)"))
                continue
            }
            var node = ConfigurationNode(members: members, path: "[\(index)]")
            let read = node.rule()
            if let name = read.name, !names.insert(name).inserted {
                node.report("name", "another rule has the same name")
            }
            problems += node.problems
            rules.removeAll { $0.name == read.name }
            if let rule = read.rule { rules.append(rule) }
        }
        return rules
    }

    /// One rule; nil if anything is wrong with it.
    static func rule(_ configuration: JSONValue) -> Rule? {
        var node = ConfigurationNode(members: configuration.objectValue ?? [:], path: "")
        return node.rule().rule
    }
}

/// One object of the configuration while it is read, collecting what is wrong with it.
private struct ConfigurationNode {
    let members: JSONObject
    let path: String
    private(set) var problems: [RuleProblem] = []
    private var known: Set<String> = []

    init(members: JSONObject, path: String) {
        self.members = members
        self.path = path
    }

    mutating func report(_ key: String, _ message: String) {
        problems.append(RuleProblem(path: "\(path).\(key)", message: message))
    }

    private mutating func value(_ key: String) -> JSONValue? {
        known.insert(key)
        guard let value = members[key], !value.isNull else { return nil }
        return value
    }

    private mutating func string(_ key: String, isRequired: Bool = true) -> String? {
        guard let value = value(key) else {
            if isRequired { report(key, "is missing") }
            return nil
        }
        guard let text = value.stringValue, !text.isEmpty else {
            report(key, value.stringValue == nil ? "must be a text, not \(value.kindDescription)" : "is empty")
            return nil
        }
        return text
    }

    private mutating func template(_ key: String, isRequired: Bool = true) -> TextTemplate? {
        guard let text = string(key, isRequired: isRequired) else { return nil }
        do { return try TextTemplate(text) } catch {
            report(key, error.description)
            return nil
        }
    }

    private mutating func expression(_ key: String, isRequired: Bool = true) -> Expression? {
        // YAML reads `when: true` as a boolean, which is a fine condition.
        if let constant = value(key)?.boolValue { return try? Expression(constant ? "true" : "false") }
        guard let text = string(key, isRequired: isRequired) else { return nil }
        do { return try Expression(text) } catch {
            report(key, error.description)
            return nil
        }
    }

    /// One field or a list of them.
    private mutating func fieldPaths(_ key: String) -> [FieldPath]? {
        guard let value = value(key) else { return nil }
        var paths: [FieldPath] = []
        for element in value.arrayValue ?? [value] {
            guard let text = element.stringValue, let path = FieldPath(text) else {
                report(key, "must be the name of a field, or a list of such names")
                return nil
            }
            paths.append(path)
        }
        return paths
    }

    private mutating func fieldPath(_ key: String) -> FieldPath? {
        guard let text = string(key, isRequired: false) else { return nil }
        guard let path = FieldPath(text) else {
            report(key, "must be the name of a field")
            return nil
        }
        return path
    }

    private mutating func reportUnknownKeys() {
        for key in members.keys where !known.contains(key) {
            report(key, "there is no such option; there are \(known.sorted().joined(separator: ", "))")
        }
    }

    /// The rule, unless it is switched off or something is wrong with it; its name in any case.
    mutating func rule() -> (name: String?, rule: Rule?) {
        let name = name()
        let isEnabled = isEnabled()
        if !isEnabled, problems.isEmpty { return (name, nil) }
        let event = eventPattern()
        let to = template("to")
        let type = string("type")
        let title = template("title", isRequired: false)
        let message = template("message")
        let when = expression("when", isRequired: false)
        let fields = fieldPaths("fields")
        let alert = alert()
        reportUnknownKeys()
        guard problems.isEmpty, let name, let event, let to, let type, let message
        else { return (name, nil) }
        return (
            name,
            Rule(
                name: name, event: event, to: to, type: type, title: title, message: message, when: when,
                fields: fields, alert: alert)
        )
    }

    private mutating func name() -> String? {
        guard let name = string("name") else { return nil }
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain, name.utf8.count <= 64 else {
            report("name", "must be at most 64 letters, digits, _ or -")
            return nil
        }
        return name
    }

    private mutating func isEnabled() -> Bool {
        guard let value = value("enabled") else { return true }
        guard let isEnabled = value.boolValue else {
            report("enabled", "must be true or false, not \(value.kindDescription)")
            return true
        }
        return isEnabled
    }

    private mutating func eventPattern() -> EventPattern? {
        guard let text = string("event") else { return nil }
        guard text.allSatisfy({ !$0.isWhitespace }) else {
            report("event", "must be an event's type without spaces, where * stands for any text")
            return nil
        }
        return EventPattern(text)
    }

    private mutating func alert() -> AlertRule? {
        guard let value = value("alert") else { return nil }
        guard let members = value.objectValue else {
            report("alert", "must be a mapping, not \(value.kindDescription)")
            return nil
        }
        var node = ConfigurationNode(members: members, path: "\(path).alert")
        let key = node.fieldPaths("key")
        if key?.isEmpty ?? node.problems.isEmpty {
            node.report("key", "is missing: the field that says which alert an event is about")
        }
        let fire = node.expression("fire")
        let clear = node.expression("clear", isRequired: false)
        let version = node.fieldPath("version")
        let resolvedMessage = node.template("resolved_message", isRequired: false)
        node.reportUnknownKeys()
        problems += node.problems
        guard node.problems.isEmpty, let key, let fire else { return nil }
        return AlertRule(key: key, fire: fire, clear: clear, version: version, resolvedMessage: resolvedMessage)
    }
}
