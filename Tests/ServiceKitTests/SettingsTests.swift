import JSON
import Testing

@testable import ServiceKit

@Suite struct SettingsTests {
    private let definitions = [
        SettingDefinition("demo.name", .string, default: "fallback", "a name"),
        SettingDefinition("demo.secret", .secret, "a secret"),
        SettingDefinition("demo.count", .integer, default: "3", "a count"),
        SettingDefinition("demo.flag", .boolean, "a flag"),
        SettingDefinition("demo.wait_time", .duration, default: "5s", "a duration"),
        SettingDefinition("demo.listen", .address, "an address"),
        SettingDefinition("demo.hosts", .list, "hosts"),
        SettingDefinition("demo.rules", .structure, "rules"),
    ]

    private func reader(
        flags: [String: String] = [:], environment: [String: String] = [:], yaml: String = ""
    ) throws -> SettingsReader {
        SettingsReader(
            definitions: definitions, flags: flags, environment: environment, file: try YAMLFile.parse(yaml))
    }

    @Test("the command line beats the environment, that beats the file, and that the default")
    func precedence() throws {
        let yaml = "demo: { name: file }"
        var none = try reader()
        #expect(none.string("demo.name") == "fallback")
        var file = try reader(yaml: yaml)
        #expect(file.string("demo.name") == "file")
        var environment = try reader(environment: ["APUS_DEMO_NAME": "environment"], yaml: yaml)
        #expect(environment.string("demo.name") == "environment")
        var flag = try reader(
            flags: ["demo.name": "flag"], environment: ["APUS_DEMO_NAME": "environment"], yaml: yaml)
        #expect(flag.string("demo.name") == "flag")
    }

    @Test("values of each kind are read from YAML and text alike")
    func kinds() throws {
        var settings = try reader(
            environment: ["APUS_DEMO_WAIT_TIME": "250ms"],
            yaml: """
                demo:
                  count: 7
                  flag: true
                  listen: "[::1]:80"
                  hosts: [a, b]
                  rules:
                    - { name: x }
                """)
        #expect(settings.integer("demo.count") == 7)
        let flag = settings.boolean("demo.flag")
        #expect(flag)
        #expect(settings.duration("demo.wait_time") == .milliseconds(250))
        #expect(settings.address("demo.listen") == ListenAddress(host: "::1", port: 80))
        #expect(settings.list("demo.hosts") == ["a", "b"])
        #expect(settings.structure("demo.rules") == [["name": "x"]])
        var empty = try reader(yaml: "demo: { rules: }")
        let nothing = empty.structure("demo.rules")
        #expect(nothing == Optional<JSONValue>.none)
        #expect(settings.problems.isEmpty)
    }

    @Test("every problem is told, each with its key, and no secret")
    func problems() throws {
        var settings = try reader(
            flags: ["demo.count": "many"], environment: ["APUS_DEMO_LISTEN": "nowhere"],
            yaml: """
                demo:
                  flag: perhaps
                  wait_time: soon
                  nmae: typo
                  hosts: { a: 1 }
                """)
        #expect(settings.integer("demo.count") == 3)
        _ = settings.boolean("demo.flag")
        _ = settings.duration("demo.wait_time")
        _ = settings.address("demo.listen")
        let keys = Set(settings.problems.map(\.key))
        #expect(keys == ["demo.count", "demo.flag", "demo.wait_time", "demo.listen", "demo.nmae", "demo.hosts"])
        #expect(settings.problems.first { $0.key == "demo.nmae" }?.problem.contains("demo.name") == true)
    }

    @Test("a misspelt section is told, another service's or one's own is not")
    func sections() throws {
        #expect(try reader(yaml: "dmo: { name: x }").problems.map(\.key) == ["dmo"])
        #expect(try reader(yaml: "gateway: { anything: 1 }\nmyservice: { x: 1 }").problems.isEmpty)
    }

    @Test("the command line: both forms, switches, and what is wrong with it")
    func commandLine() throws {
        let parser = CommandLineParser(definitions: definitions)
        #expect(
            try parser.parse(["--demo-name", "x", "--demo-count=4", "--demo-flag", "--config", "f.yaml"])
                == .run(flags: ["demo.name": "x", "demo.count": "4", "demo.flag": "true"], configurationFile: "f.yaml"))
        #expect(try parser.parse(["--demo-wait-time", "1s"]) == parser.parse(["--demo-wait_time=1s"]))
        #expect(try parser.parse(["--demo-name", "x", "--help"]) == .help)
        #expect {
            try parser.parse(["--demo-nme", "x"])
        } throws: {
            "\($0)".contains("did you mean --demo-name?")
        }
        for wrong in [["--demo-name"], ["stray"], ["--demo-rules", "x"], ["-x"]] {
            #expect(throws: UsageError.self) { try parser.parse(wrong) }
        }
    }

    @Test("the help names every key with type and default")
    func help() {
        let text = SettingsHelp(program: "demo", summary: "a demonstration", definitions: definitions).text
        for definition in definitions {
            #expect(text.contains(definition.kind == .structure ? definition.key : definition.flag))
            #expect(text.contains(definition.help))
        }
        #expect(text.contains("default 5s"))
    }

    @Test("YAML scalars are read by the rules of YAML 1.2; keys stand once")
    func yaml() throws {
        #expect(
            try YAMLFile.parse("a: 1\nb: 1.5\nc: yes\nd: \"1\"\ne: ~\nf: 10s\ng: 12:30\nh: true\n")
                == ["a": 1, "b": 1.5, "c": "yes", "d": "1", "e": nil, "f": "10s", "g": "12:30", "h": true])
        #expect(try YAMLFile.parse("") == [:])
        for wrong in ["a: 1\na: 2", "a: [1", "a: *nowhere", "{? [x] : 1}"] {
            #expect(throws: YAMLFile.Invalid.self) { try YAMLFile.parse(wrong) }
        }
    }
}
