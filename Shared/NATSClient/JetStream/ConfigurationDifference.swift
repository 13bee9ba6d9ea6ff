internal import JSON

/// Compares what was asked for with what the server says it keeps. Old servers answer "ok" to options that they do not
/// know and leave them out, so only this tells.
enum ConfigurationDifference {
    /// The fields of `wanted` that `kept` has otherwise. A null, zero or false that is wanted equals a missing field.
    static func fields(wanted: JSONObject, kept: JSONValue?) -> [String] {
        wanted.compactMap { field, value in isSame(value, kept?[field]) ? nil : field }
    }

    private static func isSame(_ wanted: JSONValue, _ kept: JSONValue?) -> Bool {
        switch wanted {
        case .null: kept == nil || kept == .null
        case .bool(false): kept == nil || kept == .null || kept == .bool(false)
        case .integer(0): kept == nil || kept == .null || kept?.integerValue == 0
        case .object(let members): kept?.objectValue != nil && fields(wanted: members, kept: kept).isEmpty
        case .array(let elements):
            // Subjects: the order says nothing.
            kept?.arrayValue.map { Set($0) == Set(elements) } ?? elements.isEmpty
        default: wanted == kept
        }
    }

    /// The error that names them.
    static func error(_ what: String, fields: [String], wanted: JSONObject, kept: JSONValue?) -> NATSError {
        let differences = fields.map { field in
            "\(field) is \(kept?[field]?.description ?? "absent"), \(wanted[field]?.description ?? "absent") is wanted"
        }
        return NATSError(
            .specificationMismatch,
            "the server keeps \(what) with another configuration: \(differences.joined(separator: "; "))")
    }
}
