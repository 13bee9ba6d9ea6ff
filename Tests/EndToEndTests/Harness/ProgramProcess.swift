import Foundation
import Glibc
import TestKit

/// A program that a test started: its output line by line, its exit, its signals.
///
/// It ends with the test's process at the latest, even if that crashes. Both output streams are read as one, on a thread of their own, so that a chatty program never waits for the test.
final class ProgramProcess: Sendable {
    let name: String
    let identifier: pid_t
    private let record = ProgramRecord()
    private let input: FileHandle

    struct EndedEarly: Error, CustomStringConvertible {
        let description: String
    }

    init(
        _ executable: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil,
        name: String? = nil
    ) throws {
        self.name = name ?? executable.lastPathComponent
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.currentDirectoryURL = folder
        // A developer's own APUS_… variables must not change what is tested.
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("APUS_") }
            .merging(environment) { _, new in new }
        let output = Pipe()
        let input = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = input
        self.input = input.fileHandleForWriting
        let record = record
        process.terminationHandler = { process in
            let exit: ProgramExit =
                process.terminationReason == .exit
                ? .status(process.terminationStatus) : .signal(process.terminationStatus)
            record.change { $0.exit = exit }
        }
        try process.runWithParent()
        identifier = process.processIdentifier
        let reading = output.fileHandleForReading
        Thread.detachNewThread { Self.read(reading, into: record) }
    }

    private static func read(_ handle: FileHandle, into record: ProgramRecord) {
        var rest = Data()
        while case let chunk = handle.availableData, !chunk.isEmpty {
            rest.append(chunk)
            var lines: [String] = []
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                lines.append(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
                rest = Data(rest[rest.index(after: end)...])
            }
            record.change { $0.lines += lines }
        }
        record.change { state in
            if !rest.isEmpty { state.lines.append(String(decoding: rest, as: UTF8.self)) }
            state.isComplete = true
        }
    }

    var isRunning: Bool { record.state.exit == nil }

    /// What it has written so far.
    var output: String { record.state.lines.joined(separator: "\n") }

    /// The first thing that `find` finds in a line from number `start` on, with the number of the line after it.
    /// - Throws: ``EndedEarly`` if the program ends without.
    func waitForLine<Found: Sendable>(
        from start: Int = 0, _ find: @escaping @Sendable (String) -> Found?
    ) async throws -> (found: Found, next: Int) {
        let outcome: (Found, Int)?? = try await record.wait { state in
            for (number, line) in state.lines.enumerated().dropFirst(start) {
                if let found = find(line) { return .some(.some((found, number + 1))) }
            }
            return state.isComplete && state.exit != nil ? .some(nil) : nil
        }
        guard let found = outcome ?? nil else {
            let exit = record.state.exit.map(\.description) ?? "an end"
            throw EndedEarly(description: "\(name) came to \(exit) before it said what was waited for:\n\(output)")
        }
        return (found.0, found.1)
    }

    /// Waits for the end, and for all of the output.
    func waitForExit() async throws -> ProgramExit {
        try await record.wait { $0.isComplete ? $0.exit : nil }
    }

    /// Sends a signal if the program still runs. The identifier cannot be another process's by then: as long as there
    /// is no exit on record, it has not been waited for.
    func signal(_ number: Int32) {
        if isRunning { kill(identifier, number) }
    }

    /// Writes a line to its standard input; nothing happens if it has ended.
    func write(_ line: String) {
        _ = ProgramProcess.ignoresBrokenPipes
        try? input.write(contentsOf: Data((line + "\n").utf8))
    }

    /// Writing to one that has just ended is an error to be left alone, not the end of all tests.
    private static let ignoresBrokenPipes: Void = { _ = Glibc.signal(SIGPIPE, SIG_IGN) }()

    deinit { signal(SIGKILL) }
}
