package import JSON

/// What holds for a queue in all workers.
package struct QueueRule: Sendable, Hashable {
    /// No task begins.
    package var isPaused: Bool
    /// How many tasks it takes, those that run among them; nil is any number.
    package var limit: Int?

    package init(isPaused: Bool = false, limit: Int? = nil) {
        self.isPaused = isPaused
        self.limit = limit
    }

    package var json: JSONValue { ["paused": .bool(isPaused), "limit": limit.map { .integer(Int64($0)) } ?? .null] }

    /// Reads a rule; what is not there or makes no sense is as if it were not said.
    package init(json: JSONValue) {
        isPaused = json["paused"]?.boolValue ?? false
        limit = json["limit"]?.integerValue.flatMap(Int.init(exactly:)).flatMap { $0 > 0 ? $0 : nil }
    }
}
