public import Events
public import JSON

/// One dead letter, as `dead.list` tells of it.
public struct DeadLetterListing: Sendable, Equatable {
    public let sequence: Int64
    public let taskID: String?
    public let name: String
    public let reason: String
    public let attempts: Int64
    public let at: Timestamp?

    /// - Returns: nil for what is no letter.
    public init?(json: JSONValue) {
        guard let sequence = json["sequence"]?.integerValue else { return nil }
        self.sequence = sequence
        taskID = json["task_id"]?.stringValue
        name = json["name"]?.stringValue ?? ""
        reason = json["reason"]?.stringValue ?? ""
        attempts = json["attempts"]?.integerValue ?? 0
        at = json["at"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
    }

    /// The table that people see.
    public static func table(_ letters: [DeadLetterListing], now: Timestamp) -> TextTable {
        var table = TextTable(columns: [
            .init("sequence", .right), .init("age", .right), .init("name"), .init("attempts", .right),
            .init("task"), .init("reason", maximumWidth: 80),
        ])
        for letter in letters {
            table.append([
                String(letter.sequence), letter.at.map { DurationDisplay.text($0.duration(to: now)) } ?? "",
                letter.name, String(letter.attempts), letter.taskID ?? "", letter.reason,
            ])
        }
        return table
    }
}
