import Foundation
import TestKit

extension ApusSystem {
    /// Runs a Python program of `Scenarios/` with this system and fails unless it exits 0.
    ///
    /// It finds the system in its environment. A line `@control VERB NAME` of its output asks for a process to be
    /// ended or started; the line `done` on its input, or `failed …`, is the answer.
    func runScenario(_ name: String, folder scenarios: String = "Scenarios", _ environment: [String: String] = [:])
        async throws
    {
        let python = projectFolder.appending(path: ".venv/bin/python")
        guard FileManager.default.isExecutableFile(atPath: python.path) else {
            throw ScenarioFailure("\(python.path) is missing: `make test` makes it (or `make .venv`)")
        }
        let script = projectFolder.appending(path: "Tests/EndToEndTests/\(scenarios)/\(name).py")
        let scenario = try ProgramProcess(
            python, ["-u", script.path], environment: self.environment.merging(environment) { _, new in new },
            folder: folder, name: "\(name).py")
        do {
            try await serve(scenario)
            let exit = try await scenario.waitForExit()
            guard exit == .status(0) else { throw ScenarioFailure("\(name).py: \(exit)\n\(scenario.output)") }
            // Seeds and figures, for whoever compares runs.
            for line in scenario.output.split(separator: "\n") where line.hasPrefix("-- ") { print("\(name): \(line)") }
        } catch is CancellationError {
            scenario.signal(SIGKILL)
            throw ScenarioFailure("\(name).py took too long; it said:\n\(scenario.output)")
        }
    }

    private var environment: [String: String] {
        // What repeats a run or makes it longer, such as APUS_TEST_SEED; programs under test do not get it.
        let wishes = ProcessInfo.processInfo.environment.filter { $0.key.hasPrefix("APUS_TEST_") }
        var environment = [
            "APUS_TEST_NATS": nats.url, "APUS_TEST_GATEWAY": gatewayAddress,
            "APUS_TEST_SECRET": configuration.tokenSecret, "APUS_TEST_API_KEY": configuration.apiKey,
            "APUS_TEST_DATABASE": database.path, "APUS_TEST_FOLDER": folder.path,
            "APUS_TEST_COMMAND": ApusProgram.commandLine.url.path,
            "PYTHONPATH": projectFolder.appending(path: "Tests/EndToEndTests/Scenarios").path,
            "PYTHONDONTWRITEBYTECODE": "1",
        ]
        for service in instances {
            environment["APUS_TEST_ADMIN_\(service.name.uppercased())"] = adminAddress(service)
            if service.program == .gateway {
                environment["APUS_TEST_\(service.name.uppercased())"] = gatewayAddress(service)
            }
        }
        return wishes.merging(environment) { _, ours in ours }
    }

    /// Does what the scenario asks for until it ends.
    private func serve(_ scenario: ProgramProcess) async throws {
        var next = 0
        while true {
            let request: String
            do {
                (request, next) = try await scenario.waitForLine(from: next) { line in
                    line.hasPrefix("@control ") ? String(line.dropFirst("@control ".count)) : nil
                }
            } catch is ProgramProcess.EndedEarly {
                return
            }
            do {
                scenario.write("done \(try await control(request))")
            } catch {
                scenario.write("failed \("\(error)".replacing("\n", with: " "))")
            }
        }
    }

    /// `kill|terminate|start|ready|freeze|thaw NAME`; returns what there is to say: how it ended, or where its admin routes are.
    private func control(_ request: String) async throws -> String {
        let words = request.split(separator: " ").map(String.init)
        guard words.count == 2 else { throw ScenarioFailure("cannot do '\(request)'") }
        if words[1] == "nats" {
            switch words[0] {
            case "kill": await nats.kill()
            case "start": try await nats.restart()
            case "freeze": await nats.suspend()
            case "thaw": nats.resume()
            default: throw ScenarioFailure("cannot \(words[0]) nats")
            }
            return ""
        }
        guard let service = ApusInstance(named: words[1]) else { throw ScenarioFailure("no service \(words[1])") }
        switch words[0] {
        case "kill": return try await end(service, SIGKILL).description
        case "terminate": return try await end(service, SIGTERM).description
        case "freeze": try signal(service, SIGSTOP)
        case "thaw": try signal(service, SIGCONT)
        case "start":
            try await start(service)
            return adminAddress(service)
        case "ready":
            try await waitUntilReady(service)
            return adminAddress(service)
        default: throw ScenarioFailure("cannot \(words[0]) a service")
        }
        return ""
    }
}
