import JSON
import LiveSyncApp
import LiveSyncCore
import ServiceKit
import Testing

@Suite struct ConfigurationTests {
    private func read(_ section: JSONValue) -> (LiveSyncConfiguration, [String: String]) {
        var reader = SettingsReader(
            definitions: SettingDefinition.common + LiveSyncConfiguration.definitions, file: ["livesync": section])
        let configuration = LiveSyncConfiguration(from: &reader)
        return (
            configuration,
            Dictionary(reader.problems.map { ($0.key, $0.problem) }, uniquingKeysWith: { first, _ in first })
        )
    }

    @Test("sources and rules are read as the documentation shows them")
    func reading() throws {
        let (configuration, problems) = read([
            "sources": [
                ["sqlite": "./shop.sqlite", "tables": ["posts", "main.users", "posts"]],
                ["sqlite": "/data/crm.sqlite", "tables": "*", "name": "crm"],
            ],
            "access": [
                ["table": "main.posts", "roles": ["authenticated"]],
                ["table": "crm.*", "roles": "staff", "rows": "owner = user"],
            ],
        ])
        #expect(problems.isEmpty)
        #expect(configuration.sources.map(\.schema) == ["main", "crm"])
        #expect(configuration.sources.map(\.tables) == [["posts", "users"], nil])
        #expect(configuration.access.rules.count == 2)
        #expect(configuration.access.decide(model: "main.posts", user: "1", roles: []) == .everything)
    }

    @Test("every problem is reported with its place")
    func problems() {
        let (_, problems) = read([
            "poll": "1ms",
            "sources": [
                ["postgres": "postgres://localhost/x", "tables": ["a"]], "text", ["tables": ["a"]],
                ["sqlite": "x", "tables": []], ["sqlite": 5, "tables": ["_apus_meta", "a..b"]],
                ["sqlite": "a", "tables": ["t"]], ["sqlite": "b", "tables": ["_apus_meta", "a..b"], "nam": "x"],
            ],
            "access": [
                ["table": "posts", "roles": ["x"]], ["table": "other.posts", "roles": [5]], ["rows": "x"],
                ["table": "main.posts", "roles": ["x"], "rows": "a ="], ["table": "main.t", "roles": ["x"], "rows": 5],
            ],
        ])
        #expect(problems["livesync.sources[0].postgres"] == "postgres sources are not supported yet")
        #expect(
            Set(problems.keys) == [
                "livesync.poll", "livesync.sources[0].postgres", "livesync.sources[1]", "livesync.sources[2].sqlite",
                "livesync.sources[3].tables", "livesync.sources[4].sqlite", "livesync.sources[5].name",
                "livesync.sources[6].name", "livesync.sources[6].nam", "livesync.sources[6].tables[0]",
                "livesync.sources[6].tables[1]", "livesync.access[0].table", "livesync.access[1].table",
                "livesync.access[1].roles", "livesync.access[2].table", "livesync.access[2].roles",
                "livesync.access[2].rows",
                "livesync.access[3].rows", "livesync.access[4].rows",
            ])
    }

    @Test("a rule whose rows cannot be read does not become one for all rows")
    func brokenRule() {
        let (configuration, _) = read(["access": [["table": "main.posts", "roles": ["anyone"], "rows": ["a"]]]])
        #expect(configuration.access.decide(model: "main.posts", user: "1", roles: []) == .nothing)
    }

    @Test(
        "a section of another shape is a problem, not a trap",
        arguments: [
            ["sources": 5], ["sources": ["a": 1], "access": "x"], ["access": [1]], ["sources": [[1]]],
        ] as [JSONValue])
    func shapes(section: JSONValue) {
        #expect(!read(section).1.isEmpty)
    }
}
