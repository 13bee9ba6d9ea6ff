import EventBus
import TestKit
import Testing

@Suite("NATSEventBus", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct NATSContractTests {
    @Test("keeps the contract of the bus", arguments: EventBusContract.cases)
    func contract(_ contract: EventBusContract.Case) async throws {
        try await withBus { _, bus in try await contract.run(on: bus) }
    }
}
