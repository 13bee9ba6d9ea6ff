internal import Foundation
public import JSON

/// Reads all sources of a configuration: command line, environment and file.
public struct SettingsLoader: Sendable {
    let definitions: [SettingDefinition]

    public init(definitions: [SettingDefinition]) { self.definitions = definitions }

    /// What is wrong with a configuration as a whole; the program then exits with 78 (EX_CONFIG).
    public struct Invalid: Error, CustomStringConvertible {
        public let problems: [SettingProblem]

        public init(problems: [SettingProblem]) { self.problems = problems }

        public var description: String { problems.map(\.description).joined(separator: "\n") }
    }

    /// A reader over all sources. `configurationFile` beats the variable `APUS_CONFIG`.
    public func reader(
        flags: [String: String], environment: [String: String], configurationFile: String?
    ) throws(Invalid) -> SettingsReader {
        var file: JSONValue = [:]
        if let path = configurationFile ?? environment["APUS_CONFIG"] {
            file = try SettingsLoader.read(path)
        }
        return SettingsReader(definitions: definitions, flags: flags, environment: environment, file: file)
    }

    /// The configuration file at `path` as a JSON value.
    public static func read(_ path: String) throws(Invalid) -> JSONValue {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw invalid("cannot read \(path): \(error.localizedDescription)")
        }
        guard let text = String(data: data, encoding: .utf8) else { throw invalid("\(path) is not UTF-8 text") }
        do {
            return try YAMLFile.parse(text)
        } catch {
            throw invalid("\(path): \(error)")
        }
    }

    private static func invalid(_ problem: String) -> Invalid {
        Invalid(problems: [SettingProblem(key: "config", problem: problem)])
    }
}
