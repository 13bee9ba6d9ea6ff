import Foundation
import Testing

extension EndToEndTests {
    /// The page in headless Chromium.
    @Suite("The page", .serialized)
    struct Browser {
        @Test("apus.js and the pure parts of the page", .timeLimit(.minutes(2)))
        func units() async throws {
            try await ApusSystem.run([]) { try await $0.runScenario("unit", folder: "Browser") }
        }

        @Test(
            "what the page shows", .timeLimit(.minutes(3)),
            arguments: ["chat", "notification", "alert", "rows", "task", "upload", "events", "polling", "sign_in"])
        func page(scenario: String) async throws {
            try await ApusSystem.run(configuration: Self.configuration) { system in
                try Self.writeSample(system.folder.appending(path: "sample.csv"))
                try await system.runScenario(scenario, folder: "Browser")
            }
        }

        @Test(
            "clients in JavaScript that others wrote, in pages of another site", .timeLimit(.minutes(3)),
            arguments: ["centrifuge_js", "phoenix_js"])
        func visitors(scenario: String) async throws {
            let configuration = SystemConfiguration(gateway: "  origins: ['*']")
            try await ApusSystem.run([.gateway, .notifier], configuration: configuration) {
                try await $0.runScenario(scenario, folder: "Browser")
            }
        }

        /// The services run in the system's folder, so the files are there.
        private static let configuration = SystemConfiguration(
            gateway: """
                  page: { sample: sample.csv, tables: [main.posts], database: shop.sqlite }
                  upload: { directory: uploads }
                """)

        /// Large enough that its summary is not over before anybody has looked.
        private static func writeSample(_ file: URL) throws {
            var text = "station,day,temperature,visitors\n"
            for row in 0..<150_000 {
                let degrees = Double((row * 7919) % 5003) / 100 - 12
                text += "\"Station \(row % 97), north\",\(row % 365),\(degrees),\((row * row) % 977)\n"
            }
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
    }
}
