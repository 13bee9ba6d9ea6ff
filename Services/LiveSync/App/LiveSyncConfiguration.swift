internal import Events
internal import JSON
package import LiveSyncCore
package import ServiceKit

/// The section `livesync` of the configuration.
package struct LiveSyncConfiguration: ServiceConfiguration {
    /// A database to follow.
    package struct Source: Sendable, Equatable {
        /// The first part of its tables' models, `main` unless named.
        package var schema: String
        package var path: String
        /// Nil is all of them.
        package var tables: [String]?
    }

    package static let definitions: [SettingDefinition] = [
        SettingDefinition(
            "livesync.sources", .structure,
            "databases to follow: - { sqlite: ./shop.sqlite, tables: [posts] }, or tables: [\"*\"] for all; name: shop makes them shop.<table> instead of main.<table>"
        ),
        SettingDefinition(
            "livesync.access", .structure,
            "who may read what: - { table: main.posts, roles: [authenticated], rows: \"author_id = user\" }; without a rule, role admin only"
        ),
        SettingDefinition("livesync.poll", .duration, default: "50ms", "how often a file is asked for changes"),
        SettingDefinition(
            "livesync.message.bytes", .integer, default: "786432",
            "how large a change or a page may be before its largest values are left out"),
    ]

    package var sources: [Source] = []
    package var access = AccessPolicy()
    package var pollInterval: Duration
    package var messageBytes: Int

    package init(from settings: inout SettingsReader) {
        pollInterval = settings.duration("livesync.poll") ?? .milliseconds(50)
        if pollInterval < .milliseconds(5) || pollInterval > .seconds(60) {
            settings.report("livesync.poll", "it is between 5ms and 60s")
        }
        messageBytes = settings.integer("livesync.message.bytes") ?? 786_432
        if !(4096...67_108_864).contains(messageBytes) {
            settings.report("livesync.message.bytes", "it is between 4096 and 67108864, and no more than NATS takes")
        }
        if let value = settings.structure("livesync.sources") { readSources(value, &settings) }
        if let value = settings.structure("livesync.access") { readAccess(value, &settings) }
    }

    // MARK: Sources

    private mutating func readSources(_ value: JSONValue, _ settings: inout SettingsReader) {
        guard let entries = value.arrayValue else {
            return settings.report("livesync.sources", "\(value.kindDescription) stands where a list is expected")
        }
        for (index, entry) in entries.enumerated() {
            var reader = MemberReader(path: "livesync.sources[\(index)]", value: entry)
            if let source = source(&reader) {
                if let other = sources.firstIndex(where: { $0.schema == source.schema }) {
                    reader.report(
                        "name",
                        "the source before it at [\(other)] has the tables \(source.schema).<table> already; give one of them another name"
                    )
                }
                sources.append(source)
            }
            for problem in reader.problems { settings.report(problem.path, problem.text) }
        }
    }

    private func source(_ reader: inout MemberReader) -> Source? {
        guard reader.isObject else {
            reader.report(nil, "a source is a mapping such as { sqlite: ./shop.sqlite, tables: [posts] }")
            return nil
        }
        if reader.has("postgres") {
            reader.report("postgres", "postgres sources are not supported yet")
            return nil
        }
        reader.refuse(besides: ["sqlite", "tables", "name"])
        let schema = reader.string("name") ?? "main"
        if schema.contains(".") || schema.isEmpty || schema.utf8.count > 64 {
            reader.report("name", "a name has 1 to 64 bytes and no dot")
        }
        guard let path = reader.string("sqlite"), !path.isEmpty else {
            if !reader.has("sqlite") || reader.string("sqlite") == "" {
                reader.report("sqlite", "the path of an SQLite file is required")
            }
            return nil
        }
        guard let names = reader.strings("tables") else {
            if !reader.has("tables") {
                reader.report("tables", "the tables to follow are required, or [\"*\"] for all of them")
            }
            return nil
        }
        if names.isEmpty { reader.report("tables", "there is no table to follow; [\"*\"] is all of them") }
        var tables: [String] = []
        for (position, name) in names.enumerated() {
            // What is written main.posts elsewhere may be written so here.
            let table = name.hasPrefix("\(schema).") ? String(name.dropFirst(schema.count + 1)) : name
            if name != "*", (try? ChannelName(namespace: "table", name: "\(schema).\(table)")) == nil {
                reader.report("tables[\(position)]", "no channel can be named after this table")
            }
            if table.hasPrefix(ChangeTables.namePrefix) || table.hasPrefix("sqlite_") {
                reader.report("tables[\(position)]", "tables of this name are not the application's")
            }
            if !tables.contains(table) { tables.append(table) }
        }
        return Source(schema: schema, path: path, tables: tables.contains("*") ? nil : tables)
    }

    // MARK: Access

    private mutating func readAccess(_ value: JSONValue, _ settings: inout SettingsReader) {
        guard let entries = value.arrayValue else {
            return settings.report("livesync.access", "\(value.kindDescription) stands where a list is expected")
        }
        for (index, entry) in entries.enumerated() {
            var reader = MemberReader(path: "livesync.access[\(index)]", value: entry)
            if let rule = rule(&reader) { access.rules.append(rule) }
            for problem in reader.problems { settings.report(problem.path, problem.text) }
        }
    }

    private func rule(_ reader: inout MemberReader) -> AccessPolicy.Rule? {
        guard reader.isObject else {
            reader.report(nil, "a rule is a mapping such as { table: main.posts, roles: [authenticated] }")
            return nil
        }
        reader.refuse(besides: ["table", "roles", "rows"])
        let table = reader.string("table")
        if !reader.has("table") { reader.report("table", "the table is required, such as main.posts") }
        if let table, table != "*" {
            let schema = table.prefix { $0 != "." }
            if schema.count == table.count {
                reader.report("table", "a table is written with its source's name, such as main.\(table)")
            } else if !sources.isEmpty, !sources.contains(where: { $0.schema == schema }) {
                reader.report("table", "no source has the name \(schema)")
            }
        }
        let roles = reader.strings("roles")
        if !reader.has("roles") {
            reader.report("roles", "the roles are required; authenticated and anyone are built in")
        }
        var condition: RowCondition?
        if let text = reader.string("rows") {
            do {
                condition = try RowCondition(parsing: text)
            } catch {
                reader.report("rows", error.description)
                return nil
            }
        }
        // A rule whose condition cannot be read must not become one without.
        if reader.has("rows"), condition == nil { return nil }
        guard let table, let roles else { return nil }
        return AccessPolicy.Rule(table: table, roles: roles, rows: condition)
    }
}

/// Reads the members of a mapping and collects what is wrong with them.
private struct MemberReader {
    let path: String
    let value: JSONValue
    private(set) var problems: [(path: String, text: String)] = []

    init(path: String, value: JSONValue) {
        self.path = path
        self.value = value
    }

    var isObject: Bool { value.objectValue != nil }

    func has(_ key: String) -> Bool { value[key].map { !$0.isNull } ?? false }

    mutating func report(_ key: String?, _ text: String) {
        problems.append((key.map { "\(path).\($0)" } ?? path, text))
    }

    mutating func refuse(besides known: [String]) {
        for (key, _) in value.objectValue ?? [:] where !known.contains(key) {
            report(key, "unknown; known are \(known.joined(separator: ", "))")
        }
    }

    mutating func string(_ key: String) -> String? {
        guard let member = value[key], !member.isNull else { return nil }
        if let text = member.stringValue { return text }
        if !problems.contains(where: { $0.path == "\(path).\(key)" }) {
            report(key, "\(member.kindDescription) stands where a text is expected")
        }
        return nil
    }

    /// A list of texts; one text alone will do.
    mutating func strings(_ key: String) -> [String]? {
        guard let member = value[key], !member.isNull else { return nil }
        if let text = member.stringValue { return [text] }
        guard let elements = member.arrayValue else {
            report(key, "\(member.kindDescription) stands where a list is expected")
            return nil
        }
        let texts = elements.compactMap(\.stringValue)
        guard texts.count == elements.count else {
            report(key, "only texts may be in it")
            return nil
        }
        return texts
    }
}
