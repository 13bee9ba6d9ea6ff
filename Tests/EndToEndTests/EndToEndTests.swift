import Foundation
import TestKit
import Testing

/// The built programs as processes, driven by clients that nobody here wrote.
///
/// One after the other: each test has a system of its own, and two at once on two cores would only slow one another.
@Suite("End to end", .serialized)
enum EndToEndTests {}

extension EndToEndTests {
    @Suite("The four flows", .serialized)
    struct Flows {
        @Test(
            "an order's status reaches its user and nobody else, a stock alert reaches admins only",
            .timeLimit(.minutes(2)))
        func orders() async throws {
            try await ApusSystem.run { try await $0.runScenario("orders") }
        }

        @Test(
            "a data set is summarised as Python does it, with progress, and what is no data set fails clearly",
            .timeLimit(.minutes(5)))
        func tasks() async throws {
            try await ApusSystem.run { try await $0.runScenario("tasks") }
        }

        @Test(
            "tasks begin when they are to and not more of them than may, through restarts", .timeLimit(.minutes(3)))
        func taskQueues() async throws {
            var configuration = SystemConfiguration()
            configuration.queues = "{ default: 4, bounded: { concurrency: 2, priority: 5, limit: 5 } }"
            configuration.worker = """
                  concurrency: 5
                  limits: { limited: { concurrency: 3, rate: 10/s } }
                  tasks:
                    limited: { command: ["true"] }
                    nap: { command: ["sleep", "12"] }
                    tidy:
                      soft_timeout: 1s
                      timeout: 20s
                      command:
                        - python3
                        - -uc
                        - |
                          import signal, sys
                          def tidy(*_):
                              print('{"result": "tidied"}')
                              sys.exit(0)
                          signal.signal(signal.SIGTERM, tidy)
                          signal.pause()
                """
            try await ApusSystem.run([.gateway, .worker], configuration: configuration) {
                try await $0.runScenario("task_queues")
            }
        }

        @Test(
            "schedules fire when a second clock says, once though two workers run; chains, groups and dead letters work",
            .timeLimit(.minutes(4)))
        func schedules() async throws {
            let lines = [
                "0 3 * * *", "*/15 * * * *", "5 4 * * sun", "0 0 1,15 * 3", "23 0-20/2 * * *", "0 22 * * 1-5",
                "30 6 1-7 * *", "0 0 29 2 *", "59 23 31 12 *", "7,37 9-17 * * mon-fri",
            ]
            let zones = ["UTC", "America/New_York", "Asia/Kathmandu"]
            var schedules = ["beat: { cron: \"* * * * *\", task: apus.noop, user: beat }"]
            for (number, line) in lines.enumerated() {
                for (place, zone) in zones.enumerated() {
                    schedules.append(
                        "s\(number)-\(place): { cron: \"\(line)\", timezone: \(zone), task: apus.noop }")
                }
            }
            let program = "import json, sys; print(json.dumps({'result': %s}))"
            let add = program.replacing("%s", with: "json.load(sys.stdin)['previous'] + 1")
            let addAll = program.replacing("%s", with: "sum(json.load(sys.stdin)['previous'])")
            let configuration = SystemConfiguration(
                worker: """
                      tasks:
                        add: { command: [python3, -c, "\(add)"], retry: { base: 100ms } }
                        add.all: { command: [python3, -c, "\(addAll)"] }
                      schedules:
                        \(schedules.joined(separator: "\n    "))
                    """)
            try await ApusSystem.run([.worker], configuration: configuration) { system in
                let second = ApusInstance(.worker, number: 2)
                try await system.start(second)
                try await system.waitUntilReady(second)
                try await system.runScenario("schedules")
            }
        }

        @Test("rows that the sqlite3 shell changes reach those who watch the table", .timeLimit(.minutes(2)))
        func rows() async throws {
            try await ApusSystem.run { try await $0.runScenario("rows") }
        }
    }

    @Suite("Clients", .serialized)
    struct Clients {
        @Test("the Centrifuge route serves its own client for Python", .timeLimit(.minutes(2)))
        func centrifugeRoute() async throws {
            try await ApusSystem.run { try await $0.runScenario("centrifuge_route") }
        }

        @Test("the Centrifuge route does what its protocol says, frame by frame", .timeLimit(.minutes(2)))
        func centrifugeFrames() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("centrifuge_frames") }
        }

        @Test(
            "the Centrifuge route answers all that its client for Python can ask, through a restart",
            .timeLimit(.minutes(3)))
        func centrifugeFull() async throws {
            try await ApusSystem.run([.gateway, .notifier]) { try await $0.runScenario("centrifuge_full") }
        }

        @Test("a service decides about channels, and a bad one costs nobody else anything", .timeLimit(.minutes(2)))
        func hooks() async throws {
            let configuration = SystemConfiguration(
                gateway: """
                      hook_timeout: 1s
                      namespaces: [ { name: asked, subscribe: hook, publish: hook } ]
                    """)
            try await ApusSystem.run([.gateway], configuration: configuration) { try await $0.runScenario("hooks") }
        }

        @Test("the plain WebSocket keeps to its close codes and error frames", .timeLimit(.minutes(2)))
        func plainWebSocket() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("plain_websocket") }
        }

        @Test("Phoenix Channels serve Supabase's client, and frames as phoenix.js writes them", .timeLimit(.minutes(2)))
        func phoenix() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("phoenix") }
        }

        @Test("Phoenix's long polling reaches its session through every gateway", .timeLimit(.minutes(3)))
        func phoenixLongPoll() async throws {
            let configuration = SystemConfiguration(gateway: "  ping_interval: 2s")
            try await ApusSystem.run([.gateway], gateways: 2, configuration: configuration) {
                try await $0.runScenario("phoenix_longpoll")
            }
        }

        @Test("Server-Sent Events resume where they were", .timeLimit(.minutes(2)))
        func serverSentEvents() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("server_sent_events") }
        }

        @Test("long and plain polling lose nothing between two polls", .timeLimit(.minutes(3)))
        func polling() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("polling") }
        }

        @Test(
            "pages of the origins that are let in may use the routes for clients, others may not",
            .timeLimit(.minutes(2)))
        func crossOrigin() async throws {
            let configuration = SystemConfiguration(gateway: "  origins: https://shop.example\n  anonymous: false")
            try await ApusSystem.run([.gateway], configuration: configuration) {
                try await $0.runScenario("cross_origin")
            }
        }

        @Test("a WebSocket keeps to RFC 6455, and to RFC 7692 where it is switched on", .timeLimit(.minutes(4)))
        func webSocketEcho() async throws {
            let plain = SystemConfiguration(gateway: "  echo: true\n  anonymous: true")
            try await ApusSystem.run([.gateway], configuration: plain) { try await $0.runScenario("websocket_echo") }
            let compressed = SystemConfiguration(
                gateway: "  echo: true\n  anonymous: true\n  websocket: { compression: true }")
            try await ApusSystem.run([.gateway], configuration: compressed) {
                try await $0.runScenario("websocket_echo", ["APUS_TEST_COMPRESSION": "1"])
            }
        }

        @Test(
            "with a certificate everything goes over https and wss, also a renewed one and what hostile clients send",
            .timeLimit(.minutes(5)))
        func tls() async throws {
            let configuration = SystemConfiguration(
                gateway: """
                      anonymous: true
                      echo: true
                      upload: { directory: uploads, bytes: 209715200 }
                      limits: { connect_timeout: 3s, message_bytes: 8388608, connections_per_user: 0 }
                      namespaces: [ { name: fire, subscribe: anyone } ]
                    """)
            try await ApusSystem.run([.gateway], configuration: configuration) { try await $0.runScenario("tls") }
        }

        @Test("every limit has its answer and its metric", .timeLimit(.minutes(3)))
        func limits() async throws {
            let configuration = SystemConfiguration(
                gateway: """
                      ping_interval: 1s
                      limits:
                        connections: 40
                        connections_per_user: 3
                        user_messages_per_minute: 100
                        connection_messages_per_second: 10
                        channels_per_connection: 5
                        channel_name_bytes: 20
                        message_bytes: 1024
                        connect_timeout: 2s
                        idle_timeout: 3s
                    """)
            try await ApusSystem.run([.gateway], configuration: configuration) { try await $0.runScenario("limits") }
        }

        @Test("calls and the server API work over HTTP", .timeLimit(.minutes(2)))
        func httpRoutes() async throws {
            try await ApusSystem.run { try await $0.runScenario("http_routes") }
        }

        @Test("the server API is Centrifugo's, and holds on every gateway", .timeLimit(.minutes(3)))
        func serverAPI() async throws {
            try await ApusSystem.run([.gateway], gateways: 2) { try await $0.runScenario("server_api") }
        }

        @Test("tokens and hooks let in, renew, refuse and end", .timeLimit(.minutes(3)))
        func permission() async throws {
            var configuration = SystemConfiguration()
            configuration.gateway = """
                  hook_timeout: 2s
                  hook_grace: 3s
                  namespaces:
                    - { name: door, subscribe: hook, publish: hook, history: { size: 100, ttl: 1h } }
                    - { name: dead, subscribe: hook, publish: hook }
                """
            try await ApusSystem.run([.gateway], gateways: 2, configuration: configuration) {
                try await $0.runScenario("permission")
            }
        }

        @Test("what Apus emits are CloudEvents, and it understands what others make", .timeLimit(.minutes(2)))
        func cloudEvents() async throws {
            try await ApusSystem.run { try await $0.runScenario("cloud_events") }
        }

        @Test("a gateway exports what docs/metrics.md says, and logs as JSON", .timeLimit(.minutes(2)))
        func metrics() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("metrics") }
        }

        @Test(
            "tasks, queues and dead letters are looked after with the tool", .timeLimit(.minutes(3)),
            arguments: ["task_tool", "task_replay"])
        func taskTool(scenario: String) async throws {
            try await ApusSystem.run([.gateway, .worker]) { try await $0.runScenario(scenario) }
        }

        @Test("the tool does what its help says", .timeLimit(.minutes(3)))
        func commands() async throws {
            try await ApusSystem.run { try await $0.runScenario("commands") }
        }
    }

    @Suite("Faults", .serialized)
    struct Faults {
        @Test("a client gets what it missed while its gateway was dead", .timeLimit(.minutes(3)))
        func recovery() async throws {
            try await ApusSystem.run([.gateway]) { try await $0.runScenario("recovery") }
        }

        @Test(
            "three gateways and NATS are killed at random, and each client's record is the log's",
            .timeLimit(.minutes(4)))
        func continuity() async throws {
            let configuration = SystemConfiguration(
                gateway: "  namespaces: [{ name: short, subscribe: authenticated, history: { size: 5, ttl: 1h } }]")
            try await ApusSystem.run([.gateway], gateways: 3, configuration: configuration) {
                try await $0.runScenario("continuity")
            }
        }

        @Test("services killed and started in any order lose nothing", .timeLimit(.minutes(6)))
        func restarts() async throws {
            try await ApusSystem.run { try await $0.runScenario("restarts") }
        }

        @Test("presence is right over blinks, a gateway's death and a gateway's leaving", .timeLimit(.minutes(3)))
        func presence() async throws {
            var configuration = SystemConfiguration()
            configuration.gateway = """
                  presence: { lease: 3s, linger: 2s }
                  drain: { rate: 20 }
                """
            try await ApusSystem.run([.gateway], gateways: 2, configuration: configuration) {
                try await $0.runScenario("presence")
            }
        }

        @Test(
            "a worker that stood still for longer than its lease completes nothing that another has",
            .timeLimit(.minutes(2)))
        func frozenWorker() async throws {
            var configuration = SystemConfiguration()
            configuration.worker = """
                  tasks:
                    nap: { command: ["sleep", "3"], max_attempts: 3 }
                """
            try await ApusSystem.run([.worker], configuration: configuration) { system in
                func apus(_ arguments: [String]) async throws -> String {
                    let tool = try ProgramProcess(
                        ApusProgram.commandLine.url, arguments + ["--nats-url", system.nats.url, "--json"])
                    #expect(try await tool.waitForExit() == .status(0), "\(tool.output)")
                    return tool.output
                }
                let submitted = try await apus(["task", "run", "nap", "--detach", "--user", "42"])
                let id = try #require(submitted.firstMatch(of: #/"task_id":"([^"]+)"/#)).1
                let channel = "task:\(id)"
                // It has begun, and so is the first worker's; then that stands still and another comes.
                _ = try await apus(["subscribe", channel, "--from-start", "--count", "2"])
                let (first, second) = (ApusInstance(.worker), ApusInstance(.worker, number: 2))
                try system.signal(first, SIGSTOP)
                try await system.start(second)
                let reader = try ProgramProcess(
                    ApusProgram.commandLine.url,
                    ["subscribe", channel, "--from-start", "--nats-url", system.nats.url, "--json"])
                _ = try await reader.waitForLine { $0.contains(#""status":"completed""#) ? true : nil }
                // The first goes on, finds its program ended, and has nothing more to say.
                try system.signal(first, SIGCONT)
                #expect(try await system.end(first, SIGTERM) == .status(0))
                reader.signal(SIGINT)
                _ = try await reader.waitForExit()
                let lines = reader.output.split(separator: "\n").filter { $0.contains("task_status") }
                #expect(lines.filter { $0.contains(#""status":"completed""#) }.count == 1, "\(reader.output)")
                #expect(lines.last?.contains(#""status":"completed""#) == true, "\(reader.output)")
                #expect(lines.last?.contains(#""attempt":2"#) == true, "\(reader.output)")
                let shown = try await apus(["task", "show", String(id)])
                #expect(shown.contains(#""status":"completed""#) && shown.contains(#""attempt":2"#), "\(shown)")
                #expect(try await system.end(second, SIGTERM) == .status(0))
            }
        }

        @Test(
            "workers are killed, stopped and drained under load and NATS restarted, and each task ends once",
            .timeLimit(.minutes(8)))
        func taskFaults() async throws {
            var configuration = SystemConfiguration()
            configuration.worker = """
                  tasks:
                    steps: { command: ["sh", "steps.sh"], timeout: 60s }
                    long: { command: ["sh", "steps.sh", "0.8"], timeout: 60s }
                    flaky: { command: ["sh", "flaky.sh"] }
                    doomed: { command: ["sh", "doomed.sh"] }
                """
            try await ApusSystem.run([.gateway, .worker], configuration: configuration) {
                try await $0.runScenario("task_faults")
            }
        }

        @Test("hostile clients cost bounded memory, and nobody else notices", .timeLimit(.minutes(6)))
        func hostile() async throws {
            let configuration = SystemConfiguration(
                gateway: """
                      anonymous: true
                      ping_interval: 5s
                      limits: { connect_timeout: 6s, outbound_bytes: 262144, connections_per_user: 0 }
                      namespaces:
                        - { name: fire, subscribe: anyone }
                        - { name: latest, subscribe: anyone, slow: latest }
                        - { name: oldest, subscribe: anyone, slow: drop_oldest }
                    """)
            try await ApusSystem.run([.gateway], configuration: configuration) { try await $0.runScenario("hostile") }
        }

        @Test("malformed input is answered, counted and kept, and stops nothing", .timeLimit(.minutes(3)))
        func badInput() async throws {
            try await ApusSystem.run { try await $0.runScenario("bad_input") }
        }
    }
}
