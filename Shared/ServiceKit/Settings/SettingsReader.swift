internal import Configuration
internal import Events
public import JSON

/// A key whose value cannot be used, and why.
public struct SettingProblem: Sendable, Equatable, CustomStringConvertible {
    public let key: String
    public let problem: String

    public var description: String { "\(key): \(problem)" }
}

/// Gives the effective value of each key and collects everything that is wrong, so that it can be told at once.
public struct SettingsReader: Sendable {
    public private(set) var problems: [SettingProblem] = []
    private let definitions: [String: SettingDefinition]
    private let reader: ConfigReader
    private let file: JSONValue

    /// - Parameters:
    ///   - definitions: every key that may be read.
    ///   - flags: values from the command line, by key.
    ///   - environment: variables; only those that a definition names are looked at.
    ///   - file: the parsed configuration file, an object.
    public init(
        definitions: [SettingDefinition], flags: [String: String] = [:], environment: [String: String] = [:],
        file: JSONValue = [:]
    ) {
        self.definitions = Dictionary(definitions.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        self.file = file
        var inFile: [AbsoluteConfigKey: ConfigValue] = [:]
        for definition in definitions where definition.kind != .structure {
            guard let text = SettingsReader.value(at: definition.key, in: file).flatMap(SettingsReader.text) else {
                continue
            }
            inFile[SettingsReader.absolute(definition.key)] = ConfigValue(
                .string(text), isSecret: definition.kind == .secret)
        }
        let secrets = Set(definitions.filter { $0.kind == .secret }.map(\.environmentVariable))
        reader = ConfigReader(providers: [
            InMemoryProvider(
                name: "command line",
                values: Dictionary(
                    uniqueKeysWithValues: flags.map {
                        (SettingsReader.absolute($0.key), ConfigValue(.string($0.value), isSecret: false))
                    })),
            EnvironmentVariablesProvider(
                environmentVariables: environment, secretsSpecifier: .specific(secrets)
            ).prefixKeys(with: "apus"),
            InMemoryProvider(name: "file", values: inFile),
        ])
        checkFile(definitions)
    }

    // MARK: Reading

    /// The text of a key; nil when it is set nowhere and has no default. An empty text counts as not set.
    public mutating func string(_ key: String) -> String? {
        guard let definition = definitions[key] else {
            preconditionFailure("\(key) is read but not defined")
        }
        let text = reader.string(forKey: ConfigKey(key), isSecret: definition.kind == .secret)
        return text.flatMap { $0.isEmpty ? nil : $0 } ?? definition.defaultValue
    }

    public mutating func integer(_ key: String) -> Int? {
        converted(key, "a whole number") { Int($0) }
    }

    /// False when it is set nowhere.
    public mutating func boolean(_ key: String) -> Bool {
        converted(key, "true or false") { text -> Bool? in
            switch text.lowercased() {
            case "true", "yes", "on", "1": true
            case "false", "no", "off", "0": false
            default: nil
            }
        } ?? false
    }

    public mutating func duration(_ key: String) -> Duration? {
        converted(key, "a duration such as 500ms, 30s, 5m, 24h or 7d") { DurationText.parse($0) }
    }

    public mutating func address(_ key: String) -> ListenAddress? {
        converted(key, "HOST:PORT such as 127.0.0.1:8080") { ListenAddress($0) }
    }

    /// One of a closed set of words.
    public mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, _: Choice.Type = Choice.self
    ) -> Choice? where Choice.RawValue == String {
        converted(key, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))") { Choice(rawValue: $0) }
    }

    public mutating func list(_ key: String) -> [String] {
        (string(key) ?? "").split(separator: ",").map { $0.trimming(while: { $0 == " " }) }.filter { !$0.isEmpty }
    }

    /// What stands under `key` in the configuration file; nil when nothing does.
    public mutating func structure(_ key: String) -> JSONValue? {
        precondition(definitions[key]?.kind == .structure, "\(key) is not defined as a structure")
        guard let value = SettingsReader.value(at: key, in: file), !value.isNull else { return .none }
        return value
    }

    /// Records that `key`, or a place below it such as `notifier.rules[2].to`, cannot be used.
    public mutating func report(_ key: String, _ problem: String) {
        problems.append(SettingProblem(key: key, problem: problem))
    }

    private mutating func converted<Value>(
        _ key: String, _ expectation: String, _ convert: (String) -> Value?
    ) -> Value? {
        guard let text = string(key) else { return nil }
        if let value = convert(text) { return value }
        let shown = definitions[key]?.kind == .secret ? "the value" : "\"\(text)\""
        report(key, "\(shown) is not \(expectation)")
        return definitions[key]?.defaultValue.flatMap(convert)
    }

    // MARK: The file

    private static func absolute(_ key: String) -> AbsoluteConfigKey {
        AbsoluteConfigKey(key.split(separator: ".").map(String.init))
    }

    private static func value(at key: String, in file: JSONValue) -> JSONValue? {
        key.split(separator: ".").reduce(Optional(file)) { $0?[String($1)] }
    }

    /// A scalar, or a list of scalars, as the text that a flag would have. Nil for anything else.
    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer, .double, .bool: value.description
        case .array(let elements):
            elements.allSatisfy { text($0) != nil && $0.arrayValue == nil }
                ? elements.compactMap(text).joined(separator: ",") : nil
        case .null, .object: nil
        }
    }

    /// Finds keys that nobody reads and values of the wrong shape: a typing mistake must not be silently ignored.
    private mutating func checkFile(_ definitions: [SettingDefinition]) {
        guard let root = file.objectValue else {
            report("config", "the file is \(file.kindDescription), not a mapping of sections")
            return
        }
        let sections = Set(definitions.map { String($0.key.prefix { $0 != "." }) })
        for (section, content) in root {
            if sections.contains(section) {
                check(content, path: section, definitions)
            } else if !SettingsReader.otherServices.contains(section),
                let meant = Suggestion.closest(to: section, among: Array(sections) + SettingsReader.otherServices)
            {
                report(section, "unknown section; did you mean \(meant)?")
            }
        }
    }

    /// Sections of the one file that other services read.
    private static let otherServices = ["gateway", "worker", "notifier", "livesync"]

    private mutating func check(_ content: JSONValue, path: String, _ definitions: [SettingDefinition]) {
        if let definition = definitions.first(where: { $0.key == path }) {
            if definition.kind != .structure, !content.isNull, SettingsReader.text(content) == nil {
                report(path, "\(content.kindDescription) stands where \(definition.kind.rawValue) is expected")
            }
            return
        }
        guard definitions.contains(where: { $0.key.hasPrefix(path + ".") }) else {
            let meant = Suggestion.closest(to: path, among: definitions.map(\.key))
            return report(path, "unknown key" + (meant.map { "; did you mean \($0)?" } ?? ""))
        }
        guard let members = content.objectValue else {
            if !content.isNull { report(path, "\(content.kindDescription) stands where a mapping is expected") }
            return
        }
        for (key, member) in members { check(member, path: "\(path).\(key)", definitions) }
    }
}

extension Substring {
    fileprivate func trimming(while predicate: (Character) -> Bool) -> String {
        var text = drop(while: predicate)
        while let last = text.last, predicate(last) { text.removeLast() }
        return String(text)
    }
}
