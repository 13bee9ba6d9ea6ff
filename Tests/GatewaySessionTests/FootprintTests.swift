import EventBus
import Events
import Foundation
import GatewayWire
import Testing

@testable import GatewaySession

/// What the session layer keeps of connections, subscriptions and channels, by the C library's own books.
///
/// Each measurement has a process of its own: what other tests allocate meanwhile would be in the figures.
@Suite(.serialized, .timeLimit(.minutes(2))) struct FootprintTests {
    @Test("an authenticated connection with one subscription keeps at most 1,000 bytes")
    func connection() async throws {
        let output = try #require(
            await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try await FootprintProbe.run { probe in
                    try await probe.connect(100, channels: ["quiet:lobby"])
                    let before = FootprintProbe.heapBytes
                    try await probe.connect(2_000, channels: ["quiet:lobby"])
                    FootprintProbe.report(FootprintProbe.heapBytes - before, each: 2_000)
                }
            })
        let bytes = try FootprintProbe.figure(output.standardOutputContent)
        #expect(bytes <= 1000)
    }

    @Test("each further subscription keeps at most 200 bytes")
    func subscriptions() async throws {
        let output = try #require(
            await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try await FootprintProbe.run { probe in
                    let names = (0..<10).map { "quiet:number-\($0)" }
                    try await probe.connect(100, channels: names)
                    let ids = try await probe.connect(2_000, channels: ["quiet:number-0"])
                    let before = FootprintProbe.heapBytes
                    for name in names.dropFirst() { try await probe.subscribe(ids, to: { _ in name }) }
                    FootprintProbe.report(FootprintProbe.heapBytes - before, each: 18_000)
                }
            })
        let bytes = try FootprintProbe.figure(output.standardOutputContent)
        #expect(bytes <= 200)
    }

    // With what the NATS feed keeps of a subscription, about 126 bytes, that is below 1,000 in all. The bus in memory keeps
    // timers for some seconds, so how much of it is taken off differs a little with the machine's speed.
    @Test("a channel with one subscriber keeps at most 800 bytes, and the bus's own part")
    func channels() async throws {
        let output = try #require(
            await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try await FootprintProbe.run { probe in
                    // What a subscription costs the bus in memory is no matter of the gateway's, nor is how long it keeps a
                    // timer.
                    let start = FootprintProbe.heapBytes
                    let other = MemoryBus()
                    let others = try (0..<8_000).map { try other.subscribe("apus.channel.quiet.c-\($0)") { _ in } }
                    for _ in others { try await other.flush(timeout: .seconds(5)) }
                    let ofBus = FootprintProbe.heapBytes - start
                    let ids = try await probe.connect(8_000, channels: [])
                    let before = FootprintProbe.heapBytes
                    try await probe.subscribe(ids, to: { "quiet:c-\($0)" })
                    FootprintProbe.report(FootprintProbe.heapBytes - before - ofBus, each: 8_000)
                    withExtendedLifetime((other, others)) {}
                }
            })
        let bytes = try FootprintProbe.figure(output.standardOutputContent)
        #expect(bytes <= 800)
    }

    @Test("what connections kept is given back when they go")
    func givenBack() async throws {
        let output = try #require(
            await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try await FootprintProbe.run { probe in
                    // The runtime and the queues have what they keep for good after the first round.
                    for _ in 0..<2 {
                        await probe.close(try await probe.connect(1000, channels: ["quiet:lobby", "quiet:other"]))
                    }
                    await probe.pass(.seconds(60))
                    let before = FootprintProbe.heapBytes
                    for _ in 0..<3 {
                        await probe.close(try await probe.connect(8_000, channels: ["quiet:lobby", "quiet:other"]))
                    }
                    await probe.pass(.seconds(60))
                    FootprintProbe.report(max(0, FootprintProbe.heapBytes - before), each: 8_000)
                }
            })
        let bytes = try FootprintProbe.figure(output.standardOutputContent)
        // Many came and went. What the C library keeps for its threads counts as allocated, up to 200 kB for each.
        #expect(bytes <= 100)
    }
}
