public import JSON
internal import Yams

/// Reads a YAML document as a JSON value.
///
/// Plain scalars are read by the rules of YAML 1.2's core schema (`true`, `null`, `42`, `0.5`; `yes` and `10s` are
/// strings), quoted ones are strings. Keys must be strings; a key that stands twice is an error.
public enum YAMLFile {
    /// Why a text is not a configuration.
    public struct Invalid: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Returns: an empty object for an empty document.
    public static func parse(_ text: String) throws(Invalid) -> JSONValue {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw Invalid(description: "\(error)")
        } catch {
            throw Invalid(description: "not YAML")
        }
        guard let root else { return .object([:]) }
        return try value(root)
    }

    private static func value(_ node: Node) throws(Invalid) -> JSONValue {
        switch node {
        case .scalar(let scalar): return plainScalar(scalar)
        case .sequence(let sequence):
            var elements: [JSONValue] = []
            for element in sequence { elements.append(try value(element)) }
            return .array(elements)
        case .mapping(let mapping):
            var members = JSONObject()
            for (key, member) in mapping {
                guard case .scalar(let name) = key else {
                    throw Invalid(description: "a key that is not a string\(place(key))")
                }
                guard members[name.string] == nil else {
                    throw Invalid(description: "the key \"\(name.string)\" stands twice\(place(key))")
                }
                members[name.string] = try value(member)
            }
            return .object(members)
        case .alias: throw Invalid(description: "an alias without an anchor\(place(node))")
        }
    }

    private static func place(_ node: Node) -> String { node.mark.map { " (line \($0.line))" } ?? "" }

    private static func plainScalar(_ scalar: Node.Scalar) -> JSONValue {
        guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
        switch scalar.string {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let integer = Int64(scalar.string) { return .integer(integer) }
        let looksNumeric = scalar.string.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        if looksNumeric, let number = Double(scalar.string) { return .double(number) }
        return .string(scalar.string)
    }
}
