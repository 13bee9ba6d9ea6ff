internal import CommandLineCore
internal import Foundation
internal import JSON

/// A JSON text that is given as an argument, or on standard input as `-`.
enum JSONArgument {
    /// More than any NATS server takes as one message.
    private static let maximumBytes = 64 << 20

    /// The bytes as they were given, which are one JSON text.
    static func read(_ argument: String) async throws -> [UInt8] {
        guard argument == "-" else {
            _ = try parse(argument, name: "the argument")
            return Array(argument.utf8)
        }
        if isatty(STDIN_FILENO) == 1 { Console.standard.note("reading JSON from standard input; ctrl-D ends it") }
        let bytes = try await onOwnThread { () throws -> [UInt8] in
            Array(try FileHandle.standardInput.read(upToCount: maximumBytes) ?? Data())
        }
        do throws(JSONError) {
            _ = try JSONValue(parsing: bytes)
        } catch {
            throw Failure("standard input is \(JSONPlace.describe(error, in: bytes))", exit: .usage)
        }
        return bytes
    }

    static func parse(_ text: String, name: String) throws -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: text)
        } catch {
            throw Failure(
                "\(name) is \(JSONPlace.describe(error, in: Array(text.utf8))); mind the shell's quoting: "
                    + #"'{"text": "hello"}'"#, exit: .usage)
        }
    }
}
