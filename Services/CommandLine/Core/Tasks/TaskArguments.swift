public import JSON

/// The arguments of a task as they are written on the command line: one JSON object, single `key=value` pairs, or both.
public enum TaskArguments {
    /// Why the command line's arguments are none.
    public struct Invalid: Error, Equatable, CustomStringConvertible {
        public let description: String
    }

    /// - Parameters:
    ///   - json: a JSON object; nil is an empty one.
    ///   - pairs: `key=value`, put over the object. A value that is JSON (`3`, `true`, `["a"]`, `"3"`) is taken as such,
    ///     any other as text. A dotted key goes into nested objects: `filter.country=NL`.
    public static func parse(json: String?, pairs: [String]) throws(Invalid) -> JSONObject {
        var arguments = try json.map { text throws(Invalid) in try object(text) } ?? [:]
        for pair in pairs {
            guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
                throw Invalid(description: "--arg takes key=value, not \"\(TerminalText.safe(pair))\"")
            }
            let path = pair[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard path.count <= 16, !path.contains(where: \.isEmpty) else {
                throw Invalid(description: "\"\(TerminalText.safe(pair[..<equals]))\" is no key of an argument")
            }
            let value = value(String(pair[pair.index(after: equals)...]))
            arguments = try set(path[...], to: value, in: arguments, key: String(pair[..<equals]))
        }
        return arguments
    }

    private static func object(_ text: String) throws(Invalid) -> JSONObject {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: text)
        } catch {
            throw Invalid(
                description: JSONPlace.describe(error, in: Array(text.utf8))
                    + "; quote the whole for the shell, or use --arg key=value")
        }
        guard let object = value.objectValue else {
            throw Invalid(description: "a task's arguments are a JSON object, not \(value.kindDescription)")
        }
        return object
    }

    private static func value(_ text: String) -> JSONValue {
        (try? JSONValue(parsing: text)) ?? .string(text)
    }

    private static func set(
        _ path: ArraySlice<String>, to value: JSONValue, in object: JSONObject, key: String
    ) throws(Invalid) -> JSONObject {
        guard let first = path.first else { return object }
        var object = object
        guard path.count > 1 else {
            object[first] = value
            return object
        }
        switch object[first] {
        case nil: object[first] = .object(try set(path.dropFirst(), to: value, in: [:], key: key))
        case .object(let inner): object[first] = .object(try set(path.dropFirst(), to: value, in: inner, key: key))
        default:
            throw Invalid(
                description: "--arg \(TerminalText.safe(key)): \"\(TerminalText.safe(first))\" is no object already")
        }
        return object
    }
}

/// Tells where in a text JSON went wrong.
public enum JSONPlace {
    /// `not JSON: expected a value, at line 2, column 14`.
    public static func describe(_ error: JSONError, in bytes: [UInt8]) -> String {
        let before = bytes.prefix(max(0, error.offset))
        let line = before.count { $0 == 10 } + 1
        let lastBreak = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
        // Columns are characters; continuation bytes of UTF-8 begin none.
        let column = before[lastBreak...].count { $0 & 0xC0 != 0x80 } + 1
        return "not JSON: \(error.message), at line \(line), column \(column)"
    }
}
