import EventBus
import Events
import TestKit
import Testing

@Suite("MemoryBus", .timeLimit(.minutes(2)))
struct MemoryBusContractTests {
    @Test("keeps the contract of the bus", arguments: EventBusContract.cases)
    func contract(_ contract: EventBusContract.Case) async throws {
        let bus = MemoryBus()
        try await contract.run(on: bus)
        await bus.close(timeout: .seconds(1))
    }
}
