package import Events
package import JSON

/// Turns what a source recorded into what is published.
package enum ChangeEncoding {
    package enum Outcome: Sendable, Equatable {
        case change(RowChange, payload: [UInt8])
        /// It can't be published, whatever is tried; the reason is for the operator.
        case unusable(reason: String)
    }

    /// - Parameters:
    ///   - schema: the first part of the model.
    ///   - maximumBytes: of the payload. To get below it, the largest values are left out, and their columns named.
    package static func encode(_ recorded: RecordedChange, schema: String, maximumBytes: Int) -> Outcome {
        guard let action = RowChange.Action(rawValue: recorded.action) else {
            return .unusable(reason: "the recorded action is none that is known")
        }
        guard let key = try? JSONValue(parsing: recorded.key).objectValue else {
            return .unusable(reason: "the recorded key is not a JSON object")
        }
        guard let old = ShownRow(recorded.old, key: key), let new = ShownRow(recorded.new, key: key) else {
            return .unusable(reason: "the recorded row is not a JSON object")
        }
        var omitted = old.omitted
        for column in new.omitted where !omitted.contains(column) { omitted.append(column) }
        var change = RowChange(
            model: "\(schema).\(recorded.table)", action: action, key: key, instance: new.row, oldInstance: old.row,
            transaction: String(recorded.sequence), commitTime: Timestamp(rfc3339: recorded.recordedAt),
            sequence: recorded.sequence)
        change.omit(omitted)
        if action == .updated, let old = change.oldInstance, let new = change.instance {
            change.changes = RowChange.differences(from: old, to: new)
        }
        let payload = change.fit(maximumBytes)
        guard let payload else {
            return .unusable(reason: "the change is larger than a message may be, even without its values")
        }
        return .change(change, payload: payload)
    }
}

/// A recorded row without the values that its trigger already left out.
private struct ShownRow {
    var row: JSONObject?
    var omitted: [String] = []

    /// - Returns: nil if the text is not an object.
    init?(_ text: RecordedChange.RowText, key: JSONObject) {
        switch text {
        case .none: row = nil
        case .tooLarge:
            row = key
            omitted = ["*"]
        case .text(let text):
            guard let parsed = try? JSONValue(parsing: text).objectValue else { return nil }
            let (row, omitted) = parsed.withoutOmittedValues()
            self.row = row
            self.omitted = omitted
        }
    }
}

extension JSONObject {
    /// The row without the columns whose values the database left out, and those columns.
    package func withoutOmittedValues() -> (row: JSONObject, omitted: [String]) {
        var row = self
        var omitted: [String] = []
        for (column, value) in self where value["omitted"] != nil {
            row[column] = nil
            omitted.append(column)
        }
        return (row, omitted)
    }

    /// Columns whose removal brings the row's text down by at least `excess` bytes, largest values first; `kept` stay.
    package func largestColumns(excess: Int, keeping kept: [String]) -> [String] {
        var remaining = excess
        var columns: [String] = []
        let sizes = filter { !kept.contains($0.key) }.map { ($0.key, $0.value.serialized().count) }
        for (column, size) in sizes.sorted(by: { $0.1 > $1.1 }) where remaining > 0 {
            columns.append(column)
            remaining -= size
        }
        return columns
    }
}

extension RowChange {
    fileprivate mutating func omit(_ columns: [String]) {
        for column in columns {
            instance?[column] = nil
            oldInstance?[column] = nil
            changes.removeAll { $0.column == column }
            if !omitted.contains(column) { omitted.append(column) }
        }
    }

    /// Leaves out columns until the payload is small enough; nil if it never is.
    fileprivate mutating func fit(_ maximumBytes: Int) -> [UInt8]? {
        while true {
            let payload = json.serialized()
            if payload.count <= maximumBytes { return payload }
            // Both rows at once: a value that is in one and not in the other would look like a change of the column.
            var values = instance ?? [:]
            for (column, value) in oldInstance ?? [:] {
                values[column] = .array([values[column] ?? .null, value])
            }
            let largest = values.largestColumns(excess: payload.count - maximumBytes, keeping: [])
            guard !largest.isEmpty else { return nil }
            omit(largest)
        }
    }
}
