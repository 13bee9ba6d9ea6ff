import EventBus
import EventBusNATS
import Foundation
import NATSClient
import TestKit
import Testing

/// A killed server that has written what is gone from a stream, and not yet that its consumer need not deliver it again. Here it
/// is made so: the consumer's state is put back to what it was before.
@Suite("What a consumer remembers of removed messages", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct RemovedMessagesTests {
    /// With large messages whole files of the stream are gone, which the server does not list.
    @Test("a consumer forgets what is gone, and what is there is delivered again at once", arguments: [0, 65_536])
    func forgotten(size: Int) async throws {
        try await withBus { server, bus in
            let present = [1, 2, 5, 290, 300]
            let consumer = try await remembering(300, of: which(are: present), size: size, on: bus, server)
            #expect(try await bus.consumerState("c", of: "Q").unacknowledged == 300)
            try await bus.forgetRemoved(by: "c", of: "Q")
            let state = try await bus.consumerState("c", of: "Q")
            #expect(state.unacknowledged == present.count)
            #expect(state.lastDelivered == 300)
            var again: [UInt64] = []
            while again.count < present.count {
                for delivery in try await consumer.fetch(10, wait: .seconds(10)) {
                    again.append(delivery.sequence)
                    try await delivery.acknowledge()
                }
            }
            #expect(again.sorted() == present.map(UInt64.init))
            #expect(try await bus.streamState("Q").messages == 0)
            #expect(try await bus.consumerState("c", of: "Q").unacknowledged == 0)
        }
    }

    @Test("messages of other consumers, and those not delivered yet, are left alone")
    func others() async throws {
        try await withBus { server, bus in
            _ = try await remembering(20, of: which(are: [1, 20]), on: bus, server)
            for number in 0..<4 { try await bus.append(BusMessage(subject: number % 2 == 0 ? "q.c" : "q.other")) }
            try await bus.deleteMessage(in: "Q", sequence: 22)
            try await bus.forgetRemoved(by: "c", of: "Q")
            let state = try await bus.consumerState("c", of: "Q")
            #expect(state.unacknowledged == 2)
            #expect(state.pending == 2)
            #expect(try await bus.streamState("Q").messages == 5)
        }
    }

    private func which(are present: [Int]) -> (UInt64) -> Bool { { present.contains(Int($0)) } }

    /// Appends messages, takes them, and acknowledges those that are not to stay, which the consumer then does not know any more.
    private func remembering(
        _ count: Int, of isToStay: (UInt64) -> Bool, size: Int = 0, on bus: NATSEventBus, _ server: NATSServerProcess
    ) async throws -> any BusConsumer {
        try await bus.ensureStream(StreamSpecification(name: "Q", subjects: ["q.>"], retention: .workQueue))
        let consumer = try await bus.consumer(
            ConsumerSpecification(
                stream: "Q", name: "c", filter: "q.c", acknowledgementWait: .seconds(1), maximumUnacknowledged: 1000))
        let message = BusMessage(subject: "q.c", payload: Array(repeating: 0, count: size))
        for _ in 0..<count { try await bus.append(message) }
        var deliveries: [UInt64: Delivery] = [:]
        while deliveries.count < count {
            for delivery in try await consumer.fetch(count, wait: .seconds(10)) {
                deliveries[delivery.sequence] = delivery
            }
        }
        let file = server.folder.appending(path: "jetstream/$G/streams/Q/obs/c/o.dat")
        await server.shutDown()
        let state = try Data(contentsOf: file)
        try await startAgain(server, bus)
        for (sequence, delivery) in deliveries where !isToStay(sequence) { try await delivery.acknowledge() }
        await server.shutDown()
        try state.write(to: file)
        try await startAgain(server, bus)
        return consumer
    }

    private func startAgain(_ server: NATSServerProcess, _ bus: NATSEventBus) async throws {
        try await server.restart()
        await connected(bus)
    }
}
