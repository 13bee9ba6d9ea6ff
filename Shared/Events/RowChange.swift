public import JSON

/// One change of one row of a database table, as it is told on the channel `table:<model>`, event name ``eventName``.
///
/// ```json
/// {"model":"main.posts","action":"updated","key":{"id":7},"instance":{…},"old_instance":{…},
///  "changes":{"title":["old","new"]},"transaction":"41","commit_time":"2026-01-01T00:00:00Z","seq":41}
/// ```
///
/// Applying the changes of a table by ``key``, in order, gives the table: `created` and `updated` put ``instance`` in place
/// of whatever is there under the key, `deleted` removes it, `truncated` removes every row.
public struct RowChange: Sendable, Equatable {
    /// The name of the event on the channel.
    public static let eventName = "change"

    public enum Action: String, Sendable, CaseIterable {
        case created
        case updated
        case deleted
        case truncated
    }

    /// What a changed column held before and holds now.
    public struct Difference: Sendable, Equatable {
        public var column: String
        public var old: JSONValue
        public var new: JSONValue

        public init(column: String, old: JSONValue, new: JSONValue) {
            self.column = column
            self.old = old
            self.new = new
        }
    }

    /// `<schema>.<table>`.
    public var model: String
    public var action: Action
    /// The columns that name the row, with their values; empty for `truncated`.
    public var key: JSONObject
    /// The row as it is now; nil if there is none any more.
    public var instance: JSONObject?
    /// The row as it was; nil if there was none or it is not known.
    public var oldInstance: JSONObject?
    /// For `updated`: the columns that differ.
    public var changes: [Difference]
    /// Names the transaction, comparable with a snapshot's `xmin`, `xmax` and `xip`.
    public var transaction: String?
    public var commitTime: Timestamp?
    /// The number of the change in its database, where there is one: it only grows.
    public var sequence: UInt64?
    /// Columns left out of `instance`, `old_instance` and `changes` since their values are too large for a message.
    public var omitted: [String]

    public init(
        model: String, action: Action, key: JSONObject, instance: JSONObject? = nil, oldInstance: JSONObject? = nil,
        changes: [Difference] = [], transaction: String? = nil, commitTime: Timestamp? = nil, sequence: UInt64? = nil,
        omitted: [String] = []
    ) {
        self.model = model
        self.action = action
        self.key = key
        self.instance = instance
        self.oldInstance = oldInstance
        self.changes = changes
        self.transaction = transaction
        self.commitTime = commitTime
        self.sequence = sequence
        self.omitted = omitted
    }

    /// The columns in which two rows differ, in the order of `new` and then of `old`. A column that one of them lacks
    /// counts as null.
    public static func differences(from old: JSONObject, to new: JSONObject) -> [Difference] {
        var differences: [Difference] = []
        for (column, value) in new where (old[column] ?? .null) != value {
            differences.append(Difference(column: column, old: old[column] ?? .null, new: value))
        }
        for (column, value) in old where new[column] == nil && !value.isNull {
            differences.append(Difference(column: column, old: value, new: .null))
        }
        return differences
    }
}

// MARK: - JSON

extension RowChange {
    public var json: JSONValue {
        var object: JSONObject = [
            "model": .string(model),
            "action": .string(action.rawValue),
            "key": .object(key),
            "instance": instance.map(JSONValue.object) ?? .null,
            "old_instance": oldInstance.map(JSONValue.object) ?? .null,
            "changes": .object(JSONObject(changes.map { ($0.column, .array([$0.old, $0.new])) })),
        ]
        object["transaction"] = transaction.map(JSONValue.string)
        object["commit_time"] = commitTime.map { .string($0.description) }
        object["seq"] = sequence.flatMap { Int64(exactly: $0) }.map(JSONValue.integer)
        if !omitted.isEmpty { object["omitted"] = .array(omitted.map(JSONValue.string)) }
        return .object(object)
    }

    /// Why a JSON value is no row change.
    public struct Invalid: Error, Equatable, CustomStringConvertible {
        public let description: String
    }

    /// Reads what ``json`` gives. Members beyond those are ignored.
    public init(json: JSONValue) throws(Invalid) {
        guard let model = json["model"]?.stringValue else { throw Invalid(description: "model is not a string") }
        guard let action = json["action"]?.stringValue.flatMap(Action.init) else {
            let known = Action.allCases.map(\.rawValue).joined(separator: ", ")
            throw Invalid(description: "action is none of \(known)")
        }
        guard let key = json["key"]?.objectValue else { throw Invalid(description: "key is not an object") }
        var changes: [Difference] = []
        for (column, values) in json["changes"]?.objectValue ?? [:] {
            guard let pair = values.arrayValue, pair.count == 2 else {
                throw Invalid(description: "a member of changes is not a pair of values")
            }
            changes.append(Difference(column: column, old: pair[0], new: pair[1]))
        }
        self.init(
            model: model, action: action, key: key, instance: json["instance"]?.objectValue,
            oldInstance: json["old_instance"]?.objectValue, changes: changes,
            transaction: json["transaction"]?.stringValue,
            commitTime: json["commit_time"]?.stringValue.flatMap { Timestamp(rfc3339: $0) },
            sequence: json["seq"]?.integerValue.flatMap { UInt64(exactly: $0) },
            omitted: json["omitted"]?.arrayValue?.compactMap(\.stringValue) ?? [])
    }
}
