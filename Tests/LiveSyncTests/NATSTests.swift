import EventBus
import EventBusNATS
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import ServiceKit
import ServiceLifecycle
import TestKit
import Testing

/// The same over a real server, which is killed meanwhile.
@Suite(.enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct NATSTests {
    @Test("every change is published once, in order, though the server is killed and live sync is started anew")
    func exactlyOnce() async throws {
        let server = try await NATSServerProcess.start()
        let harness = try Harness()
        try harness.scratch.shell("CREATE TABLE posts(id INTEGER PRIMARY KEY, n);")
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent())
        var service = harness.start(tables: ["posts"], on: bus)
        try await harness.ready("posts")
        for id in 1...30 {
            try harness.scratch.shell("INSERT INTO posts VALUES (\(id), 0);")
            if id == 10 { await server.kill() }
            if id == 15 { try await server.restart() }
            if id == 20 {
                service.cancel()
                _ = await service.result
                // As if it had been killed before it could save how far it came.
                try harness.scratch.shell("UPDATE _apus_meta SET value = 0 WHERE name = 'published';")
                service = harness.start(tables: ["posts"], on: bus)
            }
        }
        try await eventually { (try? await harness.published("posts", on: bus).count) ?? 0 >= 30 }
        // Nothing may come after them.
        service.cancel()
        _ = await service.result
        #expect(try await harness.published("posts", on: bus).map(\.sequence) == Array(1...30))
        await bus.close(timeout: .seconds(5))
        await server.stop()
    }

    @Test("the built service answers sync.snapshot and the hook over the bus")
    func calls() async throws {
        let server = try await NATSServerProcess.start()
        let harness = try Harness()
        try harness.scratch.shell(
            "CREATE TABLE posts(id INTEGER PRIMARY KEY, t); INSERT INTO posts VALUES (1, 'a'), (2, 'b');")
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent())
        var reader = SettingsReader(
            definitions: SettingDefinition.common + LiveSyncConfiguration.definitions,
            file: [
                "livesync": [
                    "sources": [["sqlite": .string(harness.scratch.path), "tables": ["posts"]]],
                    "access": [["table": "main.posts", "roles": ["authenticated"]]],
                ]
            ])
        let context = ServiceContext(name: "apus-livesync", bus: bus, logger: silent(), readiness: harness.readiness)
        let services = try await buildLiveSync(LiveSyncConfiguration(from: &reader), context)
        let running = Task {
            try await withThrowingTaskGroup { group in
                for service in services { group.addTask { try await service.run() } }
                try await group.waitForAll()
            }
        }
        try await harness.ready("posts")
        func ask(_ subject: String, _ parameters: JSONValue, user: String?) async throws -> JSONValue {
            var message = BusMessage(subject: subject, payload: parameters.serialized())
            message.headers[HeaderName.user] = user
            while true {
                do {
                    return try await JSONValue(parsing: bus.request(message, timeout: .seconds(30)).payload)
                } catch let error as BusError where error.code == .noResponders {
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
        }
        let page = try await ask("apus.rpc.sync.snapshot", ["table": "main.posts", "where": "id=gt.1"], user: "42")
        #expect(page["result"]?["rows"] == [["id": 2, "t": "b"]])
        let refused = try await ask("apus.rpc.sync.snapshot", ["table": "main.posts"], user: nil)
        #expect(refused["error"]?["code"] == 403)
        let hook = Subjects.standard.hook(.subscribe, namespace: "table")
        #expect(try await ask(hook, ["channel": "table:main.posts"], user: "42")["error"] == nil)
        #expect(try await ask(hook, ["channel": "table:main.posts"], user: nil)["error"]?["code"] == 403)
        running.cancel()
        _ = await running.result
        await bus.close(timeout: .seconds(5))
        await server.stop()
    }
}
