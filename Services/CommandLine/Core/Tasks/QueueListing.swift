public import JSON

/// One queue, as `queues.list` tells of it.
public struct QueueListing: Sendable, Equatable {
    public let name: String
    /// How many tasks wait, those that run not counted.
    public let depth: Int64
    /// How long the longest has waited; nil if none does.
    public let oldestAge: Duration?
    public let running: Int64
    public let delayed: Int64
    public let isPaused: Bool
    /// How many may wait; nil is as many as there is room for.
    public let limit: Int64?

    /// - Returns: nil for what is no queue.
    public init?(json: JSONValue) {
        guard let name = json["name"]?.stringValue else { return nil }
        self.name = name
        depth = json["depth"]?.integerValue ?? 0
        oldestAge = json["oldest_age_seconds"]?.doubleValue.flatMap { age in
            (0..<1e9).contains(age) ? .milliseconds(Int64(age * 1000)) : nil
        }
        running = json["running"]?.integerValue ?? 0
        delayed = json["delayed"]?.integerValue ?? 0
        isPaused = json["paused"]?.boolValue ?? false
        limit = json["limit"]?.integerValue
    }

    /// The table that people see.
    public static func table(_ queues: [QueueListing]) -> TextTable {
        var table = TextTable(columns: [
            .init("queue"), .init("waiting", .right), .init("oldest", .right), .init("running", .right),
            .init("delayed", .right), .init("limit", .right), .init("state"),
        ])
        for queue in queues {
            table.append(
                [
                    queue.name, String(queue.depth), queue.oldestAge.map(DurationDisplay.text) ?? "–",
                    String(queue.running), String(queue.delayed), queue.limit.map(String.init) ?? "–",
                    queue.isPaused ? "paused" : "open",
                ], styles: ["state": queue.isPaused ? .yellow : .green])
        }
        return table
    }
}
