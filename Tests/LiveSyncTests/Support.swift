import EventBus
import Events
import Foundation
import JSON
import LiveSyncApp
import LiveSyncCore
import Logging
import ServiceKit
import Testing

/// A folder of its own with a database in it, and the `sqlite3` shell as the other program that writes there.
final class Scratch: Sendable {
    let folder: String
    let path: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("livesync-\(UUID().uuidString)").path
        path = folder + "/shop.sqlite"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    struct ShellFailed: Error { let text: String }

    /// Runs `sql` in a process of its own, and gives what it prints.
    @discardableResult
    func shell(_ sql: String, mayFail: Bool = false) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sqlite3", "-batch", path]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        input.fileHandleForWriting.write(Data((".timeout 10000\n" + sql + "\n").utf8))
        input.fileHandleForWriting.closeFile()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 || text.contains("rror"), !mayFail { throw ShellFailed(text: text) }
        return text
    }

    /// The rows of a table as its changes show them, by key.
    func rows(_ table: String, key: String) throws -> [String: JSONValue] {
        let text = try shell(".mode json\nSELECT *, \(key) AS \"k\" FROM \(table);")
        guard !text.isEmpty else { return [:] }
        var rows: [String: JSONValue] = [:]
        for row in try JSONValue(parsing: text).arrayValue ?? [] {
            var object = row.objectValue ?? [:]
            object["k"] = nil
            rows[row["k"]?.stringValue ?? row["k"]?.description ?? ""] = .object(object)
        }
        return rows
    }
}

func silent() -> Logger {
    var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    logger.logLevel = .critical
    return logger
}

/// Live sync on one database, with a bus; started and stopped as often as a test likes.
final class Harness: Sendable {
    let scratch: Scratch
    let bus: MemoryBus
    let readiness = Readiness()
    let status: SourceStatus

    init() throws {
        status = SourceStatus(schema: "main", logger: silent(), readiness: readiness)
        bus = MemoryBus()
        scratch = try Scratch()
    }

    func source(tables: [String]?, valueLimit: Int = 786_432) -> SQLiteSource {
        SQLiteSource(
            path: scratch.path, schema: "main", tables: tables, pollInterval: .milliseconds(5), valueLimit: valueLimit,
            pageBytes: valueLimit, status: status)
    }

    /// Runs the service until the task is cancelled.
    func start(
        tables: [String]?, on other: (any EventBus)? = nil, maximumBytes: Int = 786_432
    ) -> Task<Void, any Error> {
        let source = source(tables: tables, valueLimit: maximumBytes)
        let publisher = ChangePublisher(
            bus: other ?? bus, subjects: .standard, schema: "main", maximumBytes: maximumBytes, logger: silent())
        let service = SourceService(source: source, publisher: publisher, status: status, logger: silent())
        return Task { try await service.run() }
    }

    /// Returns once the source and these tables are followed.
    func ready(_ tables: String...) async throws {
        try await eventually {
            (["source main"] + tables.map { "table main.\($0)" }).allSatisfy { self.readiness.all[$0] == true }
        }
    }

    /// Everything published so far on the table's channel.
    func published(_ table: String, on other: (any EventBus)? = nil) async throws -> [RowChange] {
        let bus = other ?? bus
        try await TableStream(bus: bus, subjects: .standard).ensure()
        let stream = Subjects.standard.historyStream(namespace: "table")
        let subject = Subjects.standard.channel(try ChannelName(namespace: "table", name: "main.\(table)"))
        var changes: [RowChange] = []
        var after: UInt64 = 0
        while true {
            let page = try await bus.messages(in: stream, subject: subject, after: after, limit: 500)
            guard let last = page.last else { return changes }
            changes += try page.map { stored in
                let change = try RowChange(json: JSONValue(parsing: stored.message.payload))
                // What somebody else put there has no sequence of the source's.
                guard change.sequence != nil else { return change }
                // Each of ours is a CloudEvent, named as the stream knows it.
                let event = try #require(
                    try CloudEvent(headers: stored.message.headers, payload: stored.message.payload))
                #expect(event.type == "change" && event.source == "apus/livesync")
                #expect(event.id == stored.message.headers[HeaderName.messageID])
                #expect(event.time == change.commitTime)
                return change
            }
            after = last.sequence
        }
    }

    /// Returns once `count` changes are published, with all of them.
    func changes(_ table: String, _ count: Int) async throws -> [RowChange] {
        try await eventually { try await self.published(table).count >= count }
        return try await published(table)
    }
}

/// Returns as soon as `condition` holds; the test's time limit ends the waiting.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
}

extension RowChange {
    /// `created {"id":1}`, for lists.
    var brief: String { "\(action.rawValue) \(JSONValue.object(key))" }
}
