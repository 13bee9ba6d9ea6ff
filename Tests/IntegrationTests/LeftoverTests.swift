import Foundation
import TestKit
import Testing

@Suite("What a test leaves behind", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct LeftoverTests {
    @Test("a test process that dies takes its nats-server with it")
    func crash() async throws {
        let result = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let server = try await NATSServerProcess.start()
            let line = "server \(server.identifier ?? 0) in \(server.folder.path)\n"
            FileHandle.standardOutput.write(Data(line.utf8))
            kill(getpid(), SIGKILL)
        }
        let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
        let match = try #require(output.firstMatch(of: #/server (\d+) in (\S+)/#))
        // Its folder's path is among its arguments, so that another process of the same number is not taken for it.
        let (number, folder) = (String(match.1), String(match.2))
        #expect(number != "0")
        while try commandLine(number).contains(folder) { try await Task.sleep(for: .milliseconds(10)) }
        try FileManager.default.removeItem(atPath: folder)
    }

    private func commandLine(_ process: String) throws -> String {
        (try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)) ?? ""
    }
}
