import Events
import Foundation
import Identity
import JSON
import Testing

@Suite("The built tool", .timeLimit(.minutes(2)))
struct ToolTests {
    /// A port on which nobody listens: reserved, and so refused to everybody else.
    private let nowhere = ["--nats-url", "nats://127.0.0.1:1"]

    @Test(
        "wrong usage exits 64 and says what is wrong",
        arguments: [
            ["frobnicate"], ["token"], ["token", "--user", "1", "--ttl", "soon"], ["token", "--user", ""],
            ["token", "--user", "1", "--role", "a,b"], ["publish"], ["publish", "UPPER:x", "{}"],
            ["publish", "room:", "1"],
            ["publish", "room:a..b", "1"], ["publish", "room:a", "{}", "--event", "a\nb"], ["subscribe"],
            ["subscribe", "room:a", "--last", "0"], ["subscribe", "room:a", "--last", "3", "--from-start"],
            ["event", "a..b", "{}"], ["task", "run"], ["task", "run", "a b"], ["task", "run", "t", "--arg", "x"],
            ["task", "run", "t", "[1]"], ["task", "run", "t", "--max-attempts", "0"],
            ["task", "run", "t", "--timeout", "x"],
            ["task", "list", "--status", "odd"], ["task", "show", "a b"], ["task", "replay"],
            ["task", "replay", "a b"],
            ["task", "tail", "--status", "odd"], ["task", "tail", "--count", "0"], ["task", "lst"], ["queue", "pause"],
            ["queue", "pause", "a.b"], ["queue", "lst"], ["dead", "show"], ["dead", "show", "x"],
            ["dead", "show", "0"],
            ["dead", "replay"], ["dead", "replay", "1", "--all"], ["dead", "replay", "1", "--name", "x"],
            ["services", "--wait", "1d"],
            ["dev", "--port", "70000"], ["doctor", "surplus"], ["publish", "room:a", "{}", "--no-such-option"],
        ])
    func usage(arguments: [String]) async throws {
        let result = try await ToolProcess.run(arguments)
        #expect(result.status == 64)
        #expect(!result.errors.isEmpty)
        #expect(result.output.isEmpty)
    }

    @Test("a misspelled command gets the one that was meant")
    func misspelled() async throws {
        let result = try await ToolProcess.run(["evnt", "order.status_changed", "{}"])
        #expect(result.status == 64)
        #expect(result.errors.contains("did you mean `apus event`?"), "\(result.errors)")
        for (typed, meant) in [
            (["task", "lst"], "task list"), (["queue", "pase"], "queue pause"), (["dead", "reply"], "dead replay"),
            (["tsak", "list"], "task"),
        ] {
            let below = try await ToolProcess.run(typed)
            #expect(below.status == 64)
            #expect(below.errors.contains("did you mean `apus \(meant)`?"), "\(below.errors)")
        }
        let state = try await ToolProcess.run(["task", "list", "--status", "faild"])
        #expect(state.errors.contains("did you mean failed?"), "\(state.errors)")
        let other = try await ToolProcess.run(["frobnicate"])
        #expect(other.errors.contains("`apus --help` lists all"), "\(other.errors)")
        #expect(!other.errors.contains("did you mean"))
    }

    @Test("every command explains itself with examples")
    func help() async throws {
        let commands = [
            ["dev"], ["token"], ["publish"], ["subscribe"], ["event"], ["task", "run"], ["task", "list"],
            ["task", "show"], ["task", "cancel"], ["task", "replay"], ["task", "tail"], ["queue", "list"],
            ["queue", "pause"], ["queue", "resume"], ["queue", "purge"], ["dead", "list"], ["dead", "show"],
            ["dead", "replay"], ["dead", "purge"], ["services"], ["doctor"],
        ]
        for command in commands {
            let result = try await ToolProcess.run(command + ["--help"])
            #expect(result.status == 0)
            #expect(result.output.contains("apus " + command.joined(separator: " ")), "\(command)")
            #expect(result.output.contains("Examples:"), "\(command)")
        }
        #expect(try await ToolProcess.run(["--version"]).status == 0)
    }

    @Test(
        "without a server every command says so at once, and what to do",
        arguments: [
            ["publish", "room:lobby", "{}"], ["subscribe", "room:lobby"], ["event", "order.status_changed", "{}"],
            ["task", "run", "apus.noop"], ["task", "list"], ["task", "show", "x"], ["task", "cancel", "x"],
            ["task", "replay", "x"], ["task", "tail"], ["queue", "list"], ["queue", "purge", "x", "--yes"],
            ["dead", "list"], ["dead", "replay", "1"], ["services"],
        ])
    func noServer(command: [String]) async throws {
        let begin = ContinuousClock.now
        let result = try await ToolProcess.run(command + nowhere)
        #expect(result.status == 1)
        #expect(
            result.errors
                == "Error: cannot reach NATS at nats://127.0.0.1:1: start one with `apus dev`, or name yours with --nats-url\n"
        )
        #expect(result.output.isEmpty)
        #expect(ContinuousClock.now - begin < .seconds(20))
    }

    @Test("the address of the server comes from flag, environment, file, in this order")
    func precedence() async throws {
        let folder = try TemporaryFolder.make()
        let file = folder.appendingPathComponent("apus.yaml")
        try Data("nats: { url: \"nats://127.0.0.1:3\" }\n".utf8).write(to: file)
        let byFile = try await ToolProcess.run(["services", "--config", file.path])
        #expect(byFile.errors.contains("127.0.0.1:3"))
        let byEnvironment = try await ToolProcess.run(
            ["services", "--config", file.path], environment: ["APUS_NATS_URL": "nats://127.0.0.1:2"])
        #expect(byEnvironment.errors.contains("127.0.0.1:2"))
        let byFlag = try await ToolProcess.run(
            ["services", "--config", file.path] + nowhere, environment: ["APUS_NATS_URL": "nats://127.0.0.1:2"])
        #expect(byFlag.errors.contains("127.0.0.1:1:"))
        let byVariable = try await ToolProcess.run(["services"], environment: ["APUS_CONFIG": file.path])
        #expect(byVariable.errors.contains("127.0.0.1:3"))
    }

    @Test("a configuration that cannot be used exits 78 with every problem")
    func configuration() async throws {
        let folder = try TemporaryFolder.make()
        let file = folder.appendingPathComponent("apus.yaml")
        try Data("nats: { ur: 1 }\nbus: { prefix: \"a.b\" }\ngateway: { namespaces: [], token: { secret: s } }\n".utf8)
            .write(to: file)
        let result = try await ToolProcess.run(["services", "--config", file.path])
        #expect(result.status == 78)
        #expect(result.errors.contains("nats.ur"))
        #expect(result.errors.contains("bus.prefix"))
        #expect(!result.errors.contains("namespaces"))
        let missing = try await ToolProcess.run(["services", "--config", "/no/such/file.yaml"])
        #expect(missing.status == 78)
        #expect(missing.errors.contains("/no/such/file.yaml"))
    }

    @Test("what is not JSON is told with its place, before any connection")
    func noJSON() async throws {
        let argument = try await ToolProcess.run(["publish", "room:lobby", "{\"a\": }"] + nowhere)
        #expect(argument.status == 64)
        #expect(argument.errors.contains("line 1, column 7"))
        let input = try await ToolProcess.run(["event", "a.b", "-"] + nowhere, input: "{\n  \"a\": 1,\n}")
        #expect(input.status == 64)
        #expect(input.errors.contains("line 3"))
    }

    @Test("a token holds what was asked for and is signed with the secret")
    func token() async throws {
        let secret = "a secret that is long enough for everybody"
        let start = Int64(Date().timeIntervalSince1970)
        let result = try await ToolProcess.run([
            "token", "--user", "42", "--role", "admin", "--role", "staff", "--ttl", "90s", "--info", #"{"name":"Ada"}"#,
            "--secret", secret,
        ])
        #expect(result.status == 0)
        let token = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let now = Timestamp(seconds: Int64(Date().timeIntervalSince1970))
        let identity = try TokenVerifier(secret: secret).verify(token, now: now)
        #expect(identity.user == "42")
        #expect(identity.roles == ["admin", "staff"])
        #expect(identity.info == ["name": "Ada"])
        let expires = try #require(identity.expiresAt)
        // However long the tool took.
        #expect((start + 90...now.seconds + 91).contains(expires.seconds))
    }

    @Test("the secret comes from the environment or the file, and without one the tool says where to give it")
    func secrets() async throws {
        let none = try await ToolProcess.run(["token", "--user", "42"])
        #expect(none.status == 1)
        #expect(none.errors.contains("APUS_GATEWAY_TOKEN_SECRET"))
        let environment = try await ToolProcess.run(
            ["token", "--user", "42", "--json"], environment: ["APUS_GATEWAY_TOKEN_SECRET": "from the environment"])
        #expect(environment.status == 0)
        let object = try JSONValue(parsing: environment.output.trimmingCharacters(in: .whitespacesAndNewlines))
        #expect(object["user"] == "42")
        #expect(object["token"]?.stringValue?.split(separator: ".").count == 3)
        let folder = try TemporaryFolder.make()
        let data = folder.appendingPathComponent(".apus")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        try Data("gateway: { token: { secret: in the file } }\n".utf8).write(
            to: data.appendingPathComponent("apus.yaml"))
        #expect(try await ToolProcess.run(["token", "--user", "42"], in: folder).status == 0)
    }

    @Test("doctor finds the missing server, says what to do, and exits 1")
    func doctor() async throws {
        let result = try await ToolProcess.run(["doctor"] + nowhere)
        #expect(result.status == 1)
        #expect(result.output.contains("problem  NATS"))
        let lines = try await ToolProcess.run(["doctor", "--json"] + nowhere).output.split(separator: "\n")
        let findings = try lines.map { try JSONValue(parsing: String($0)) }
        #expect(findings.contains { $0["grade"] == "problem" && $0["subject"] == "NATS" })
    }
}
