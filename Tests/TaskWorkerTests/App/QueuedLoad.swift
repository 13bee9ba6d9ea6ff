import EventBus
import Events
import JSON
import Synchronization
import TestKit
import Testing

/// Many tasks `quick` with ids by their numbers, in the queue at once, and what was told of them.
struct QueuedLoad {
    let bench: WorkerBench

    init(_ bench: WorkerBench) { self.bench = bench }

    func id(_ number: Int) -> TaskID {
        TaskID("q-\(number)") ?? .derived(storedAt: Timestamp(seconds: 0), sequence: UInt64(number))
    }

    func ids(_ numbers: Range<Int>) -> [TaskID] { numbers.map(id) }

    func number(_ id: TaskID) -> Int { Int(id.description.dropFirst(2)) ?? -1 }

    /// - Parameter members: what each request says besides its id.
    func fill(_ count: Int, _ members: (Int) -> JSONObject = { _ in [:] }) async throws {
        try await fill(0..<count, members)
    }

    func fill(_ numbers: Range<Int>, _ members: (Int) -> JSONObject = { _ in [:] }) async throws {
        try await bench.bus.ensureStream(.tasks(bench.subjects))
        for number in numbers {
            var request = members(number)
            request["id"] = .string(id(number).description)
            try await bench.bus.append(
                BusMessage(
                    subject: bench.subjects.task(queue: "default", name: "quick"),
                    payload: JSONValue.object(request).serialized()))
        }
    }

    /// What subscribers were told, task by task, of all that a namespace's stream holds on `pattern`.
    func told(_ pattern: String = "task.>", in namespace: String = "task") async throws -> [TaskID: [TaskStatus]] {
        var told: [TaskID: [TaskStatus]] = [:]
        for stored in try await messages(pattern, in: namespace) {
            let overtaken = try stored.message.headers[HeaderName.overtaken].map { try JSONValue(parsing: $0) }
            let latest = try #require(try JSONValue(parsing: stored.message.payload).objectValue)
            for changes in (overtaken?.arrayValue ?? []) + [[:]] {
                let status = try #require(TaskStatus(json: .object(latest.merging(changes.objectValue ?? [:]))))
                told[status.id, default: []].append(status)
            }
        }
        return told
    }

    /// How many tasks were told in one message.
    func batched() async throws -> Int {
        try await messages("task.>", in: "task").count { $0.message.headers[HeaderName.overtaken] != nil }
    }

    /// What the records say, task by task.
    func recorded() async throws -> [TaskID: TaskStatus] {
        let bucket = try await bench.bus.keyValue(
            BucketSpecification(name: bench.subjects.bucket("tasks"), timeToLive: .seconds(7 * 86_400)))
        var recorded: [TaskID: TaskStatus] = [:]
        for key in try await bucket.keys(matching: "task.>") {
            let value = try #require(try await bucket.get(key)?.value)
            let status = try #require(TaskStatus(json: try JSONValue(parsing: value)))
            recorded[status.id] = status
        }
        return recorded
    }

    private func messages(_ pattern: String, in namespace: String) async throws -> [StoredMessage] {
        try await bench.bus.messages(
            in: bench.subjects.historyStream(namespace: namespace), subject: "apus.channel.\(pattern)", after: 0,
            limit: 10_000)
    }

    func expectCompleted(_ numbers: Range<Int>) async throws {
        let told = try await told()
        for id in ids(numbers) {
            #expect(told[id]?.map(\.state) == [.queued, .started, .completed], "\(id)")
        }
    }
}

/// How often something happened to each task.
final class Counts: Sendable {
    private let counts = Mutex<[TaskID: Int]>([:])

    var all: [TaskID: Int] { counts.withLock { $0 } }

    func note(_ id: TaskID) { counts.withLock { $0[id, default: 0] += 1 } }
}

extension ManualClock {
    /// Lets time pass, whatever the machine is busy with, as long as `body` runs.
    /// - Parameter speed: how much faster than on an idle machine's own clock, about.
    func running(speed: Int = 1, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    self.advance(by: .milliseconds(2 * speed))
                    try? await Task.sleep(for: .milliseconds(2))
                }
            }
            try await body()
            group.cancelAll()
        }
    }
}
