import Foundation

/// A program that runs for the benchmark, and what the system says of it.
final class MeasuredProgram {
    private let process: Process

    private init(process: Process) { self.process = process }

    /// Starts a program and reads what it says until the pattern is found, with the rest of its line; what follows is
    /// thrown away.
    static func start(
        _ path: String, _ arguments: [String], until pattern: Regex<(Substring, Substring)>
    ) throws -> (MeasuredProgram, String) {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        var text = ""
        while case let chunk = output.fileHandleForReading.availableData, !chunk.isEmpty {
            text += String(decoding: chunk, as: UTF8.self)
            guard let match = text.firstMatch(of: pattern), text[match.range.upperBound...].contains("\n") else {
                continue
            }
            output.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
            return (MeasuredProgram(process: process), String(match.1))
        }
        throw Failure(description: "\(path) ended:\n\(text)")
    }

    static func port(in address: String) throws -> UInt16 {
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw Failure(description: "\(address) has no port")
        }
        return port
    }

    /// Seconds of processor time that it has used.
    func processorTime() -> Double {
        // After the program's name, which is in parentheses and may hold spaces: state is the first, times 12 and 13.
        let fields = read("stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func residentBytes() -> Int {
        let fields = read("statm").split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    private func read(_ name: String) -> String {
        (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/\(name)", encoding: .utf8)) ?? ""
    }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }
}
