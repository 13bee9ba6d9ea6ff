import Foundation
import Testing

/// The built `apus`, run as a process.
struct ToolProcess {
    let status: Int32
    let output: String
    let errors: String

    /// Beside the test bundle.
    static let path: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let folders = [Bundle.main.bundlePath, URL(fileURLWithPath: own).deletingLastPathComponent().path]
        return folders.map { $0 + "/apus" }.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "apus"
    }()

    /// Runs it in an empty folder, with no settings but those given.
    @discardableResult
    static func run(
        _ arguments: [String], input: String = "", environment: [String: String] = [:], in folder: URL? = nil,
        program: String = path
    ) async throws -> ToolProcess {
        let folder = try folder ?? TemporaryFolder.make()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ["PATH": "/usr/bin:/bin", "HOME": folder.path].merging(environment) { $1 }
        let (inputPipe, outputPipe, errorPipe) = (Pipe(), Pipe(), Pipe())
        process.standardInput = inputPipe
        process.standardOutput = outputPipe
        process.standardError = errorPipe
        try process.run()
        try inputPipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try inputPipe.fileHandleForWriting.close()
        async let output = read(outputPipe)
        async let errors = read(errorPipe)
        let texts = await (output, errors)
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                process.waitUntilExit()
                continuation.resume(
                    returning: ToolProcess(status: process.terminationStatus, output: texts.0, errors: texts.1))
            }
        }
    }

    private static func read(_ pipe: Pipe) async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = (try? pipe.fileHandleForReading.readToEnd()) ?? nil
                continuation.resume(returning: String(decoding: data ?? Data(), as: UTF8.self))
            }
        }
    }
}

enum TemporaryFolder {
    static func make() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-tool-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}
