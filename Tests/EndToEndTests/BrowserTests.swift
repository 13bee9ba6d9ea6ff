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
            arguments: ["chat", "notification", "alert", "rows", "task", "upload", "events", "sign_in"])
        func page(scenario: String) async throws {
            try await ApusSystem.run { try await $0.runScenario(scenario, folder: "Browser") }
        }
    }
}
