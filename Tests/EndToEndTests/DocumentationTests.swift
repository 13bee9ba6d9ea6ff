import Testing

extension EndToEndTests {
    @Suite("The documentation", .serialized)
    struct Documentation {
        @Test("its examples work as they stand there", .timeLimit(.minutes(3)))
        func documentation() async throws {
            try await ApusSystem.run { try await $0.runScenario("documentation") }
        }
    }
}
