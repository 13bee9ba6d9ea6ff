internal import Events
package import JSON

/// Reads `gateway.namespaces` and tells everything that is wrong with it.
package struct NamespaceParser {
    /// What is wrong, with its place: `gateway.namespaces[0].slow`.
    package private(set) var problems: [(key: String, problem: String)] = []

    package init() {}

    package mutating func parse(_ value: JSONValue) -> [Namespace] {
        guard let entries = value.arrayValue else {
            problems.append(("gateway.namespaces", "\(value.kindDescription) stands where a list is expected"))
            return []
        }
        var namespaces: [Namespace] = []
        for (index, entry) in entries.enumerated() {
            guard let namespace = namespace(entry, at: "gateway.namespaces[\(index)]") else { continue }
            if namespaces.contains(where: { $0.name == namespace.name }) {
                problems.append(("gateway.namespaces[\(index)].name", "\(namespace.name) is defined twice"))
            }
            namespaces.append(namespace)
        }
        return namespaces
    }

    private static let keys = ["name", "subscribe", "publish", "history", "presence", "join_leave", "slow"]

    private mutating func namespace(_ entry: JSONValue, at place: String) -> Namespace? {
        guard let members = entry.objectValue else {
            problems.append((place, "\(entry.kindDescription) stands where a mapping is expected"))
            return nil
        }
        guard let name = members["name"]?.stringValue, ChannelName.isNamespace(name) else {
            problems.append(("\(place).name", "a lower-case letter, then lower-case letters, digits, _ or -"))
            return nil
        }
        for key in members.keys where !NamespaceParser.keys.contains(key) {
            problems.append(
                ("\(place).\(key)", "unknown option; there are \(NamespaceParser.keys.joined(separator: ", "))"))
        }
        // An override of a built-in namespace changes what it names and keeps the rest.
        var namespace = Namespace.builtIn.first { $0.name == name } ?? Namespace(name: name, subscribe: .authenticated)
        if let value = members["subscribe"] {
            let words: [String: Namespace.Rule] = [
                "anyone": .anyone, "authenticated": .authenticated, "owner": .owner, "hook": .hook, "nobody": .nobody,
            ]
            namespace.subscribe = rule(value, words, at: "\(place).subscribe") ?? namespace.subscribe
        }
        if let value = members["publish"] {
            let words: [String: Namespace.Rule] = [
                "nobody": .nobody, "anyone": .anyone, "authenticated": .authenticated, "subscriber": .subscriber,
                "hook": .hook,
            ]
            namespace.publish = rule(value, words, at: "\(place).publish") ?? namespace.publish
        }
        if let value = members["history"] { namespace.history = history(value, at: "\(place).history") }
        namespace.presence = boolean(members["presence"], namespace.presence, at: "\(place).presence")
        namespace.joinLeave = boolean(members["join_leave"], namespace.joinLeave, at: "\(place).join_leave")
        if let value = members["slow"] {
            if let policy = value.stringValue.flatMap(Namespace.SlowPolicy.init(rawValue:)) {
                namespace.slow = policy
            } else {
                let all = Namespace.SlowPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                problems.append(("\(place).slow", "one of \(all) is expected"))
            }
        }
        return namespace
    }

    private mutating func rule(
        _ value: JSONValue, _ words: [String: Namespace.Rule], at place: String
    ) -> Namespace.Rule? {
        if let word = value.stringValue, let rule = words[word] { return rule }
        if let roles = value["roles"]?.arrayValue {
            let names = roles.compactMap(\.stringValue)
            if names.count == roles.count, !names.isEmpty { return .roles(names) }
        }
        problems.append(
            (place, "one of \(words.keys.sorted().joined(separator: ", ")) or { roles: [...] } is expected"))
        return nil
    }

    private mutating func history(_ value: JSONValue, at place: String) -> ChannelHistory? {
        if value.isNull || value.boolValue == false { return nil }
        guard let size = value["size"]?.integerValue, (1...100_000).contains(size) else {
            problems.append(("\(place).size", "a number of messages from 1 to 100000 is expected"))
            return nil
        }
        let text = value["ttl"].map { $0.stringValue ?? $0.description } ?? "24h"
        guard let timeToLive = DurationText.parse(text), timeToLive > .zero else {
            problems.append(("\(place).ttl", "a duration such as 30s, 24h or 7d is expected"))
            return nil
        }
        return ChannelHistory(size: Int(size), timeToLive: timeToLive)
    }

    private mutating func boolean(_ value: JSONValue?, _ fallback: Bool, at place: String) -> Bool {
        guard let value else { return fallback }
        if let flag = value.boolValue { return flag }
        problems.append((place, "true or false is expected"))
        return fallback
    }
}
