/// What a service's command line asks for.
enum CommandLineRequest: Equatable {
    case run(flags: [String: String], configurationFile: String?)
    case help
    case version
}

/// Why a command line cannot be understood; the program then exits with 64 (EX_USAGE).
public struct UsageError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// Reads `--key value` and `--key=value` for a set of definitions, `--config FILE`, `--help` and `--version`.
struct CommandLineParser {
    let definitions: [SettingDefinition]

    /// - Parameter arguments: without the program's own name.
    func parse(_ arguments: [String]) throws(UsageError) -> CommandLineRequest {
        var flags: [String: String] = [:]
        var file: String?
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" { return .help }
            if argument == "--version" { return .version }
            guard argument.hasPrefix("--") else {
                throw UsageError(description: "unexpected argument \"\(argument)\"")
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0]).replacing("_", with: "-")
            let inline = parts.count == 2 ? String(parts[1]) : nil
            if name == "--config" {
                guard let value = inline ?? rest.popFirst() else { throw missingValue(name) }
                file = value
                continue
            }
            guard let definition = definitions.first(where: { $0.flag == name && $0.kind != .structure }) else {
                throw UsageError(description: unknown(name))
            }
            if definition.kind == .boolean, inline == nil, rest.first.map({ $0.hasPrefix("--") }) ?? true {
                flags[definition.key] = "true"
                continue
            }
            guard let value = inline ?? rest.popFirst() else { throw missingValue(name) }
            flags[definition.key] = value
        }
        return .run(flags: flags, configurationFile: file)
    }

    private func missingValue(_ name: String) -> UsageError { UsageError(description: "\(name) needs a value") }

    private func unknown(_ name: String) -> String {
        if let structure = definitions.first(where: { $0.flag == name }) {
            return "\(name) can only be set in the configuration file, as \(structure.key)"
        }
        let known = definitions.filter { $0.kind != .structure }.map(\.flag) + ["--config", "--help", "--version"]
        let suggestion = Suggestion.closest(to: name, among: known).map { "; did you mean \($0)?" } ?? ""
        return "unknown option \(name)\(suggestion)"
    }
}

/// Finds what somebody probably meant.
public enum Suggestion {
    /// The candidate that differs from `text` in the fewest letters, if it is at most a third of them and at most 3.
    public static func closest(to text: String, among candidates: [String]) -> String? {
        let limit = min(3, max(1, text.count / 3))
        return candidates.map { ($0, distance(Array(text.utf8), Array($0.utf8))) }
            .filter { $0.1 <= limit }
            .min { $0.1 < $1.1 }?.0
    }

    /// Levenshtein's distance, where two neighbours in the wrong order are one mistake.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(
                    previous[column] + (byte == other ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforePrevious, previous) = (previous, current)
        }
        return previous[right.count]
    }
}
