import EventBus
import Events
import GatewaySession
import GatewayWire
import TestKit
import Testing

@testable import GatewayEdge

/// Messages of a channel that come together go out as one piece, and nobody gets another than each alone would bring.
@Suite(.timeLimit(.minutes(1))) struct BurstTests {
    private func client(on channel: String, _ harness: ShardHarness) async -> RecordingTransport {
        let transport = RecordingTransport()
        await harness.shard.openPlain(transport, channel)
        await transport.wait { $0.isStarted || $0.closedWith != nil }
        return transport
    }

    private func message(_ number: Int, sequence: UInt64?, excluding client: RandomID? = nil) -> ChannelMessage {
        ChannelMessage(
            publication: Publication(payload: Array("\(number)".utf8), offset: sequence),
            storedAt: Timestamp(seconds: 1_000), excludedClient: client)
    }

    @Test(
        "a batch with several channels in any order reaches each subscriber in its channel's order", arguments: 0..<40)
    func order(_ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let channels = ["live:a", "live:b", "live:c"]
        // Runs of one channel and single messages, some of them not for these clients, who all have one id.
        let batch = (0..<Int.random(in: 1...80, using: &random)).map { number in
            (
                channel: channels[min(2, Int.random(in: 0...9, using: &random) / 4)], number: number,
                isExcluded: Int.random(in: 0...15, using: &random) == 0
            )
        }
        try await ShardHarness.run { harness in
            var transports: [String: RecordingTransport] = [:]
            for channel in channels { transports[channel] = await client(on: channel, harness) }
            try await harness.shard.receive(
                batch.map { channel, number, isExcluded in
                    let excluded = isExcluded ? ShardHarness.client : nil
                    return (.message(message(number, sequence: nil, excluding: excluded)), channel: channel)
                })
            for channel in channels {
                let expected = batch.filter { $0.channel == channel && !$0.isExcluded }.map { "\($0.number)" }
                let got = transports[channel]?.state.texts.map { $0.filter(\.isNumber) }
                #expect(got == expected, "seed \(seed), \(channel)")
            }
        }
    }

    @Test("who has the first messages of a batch already gets only the others")
    func part() async throws {
        try await ShardHarness.run { harness in
            for number in 1...3 {
                try await harness.bus.append(
                    BusMessage(
                        subject: Subjects.standard.channel(try ChannelName("room:a")), payload: Array("\(number)".utf8))
                )
            }
            let late = await client(on: "room:a", harness)
            try await harness.shard.receive(
                (2...5).map { (.message(message($0, sequence: UInt64($0))), channel: "room:a") })
            #expect(late.state.texts.map { $0.filter(\.isNumber) } == ["4", "5"])
        }
    }

    @Test("a batch that is more than one piece may hold arrives whole")
    func large() async throws {
        try await ShardHarness.run { harness in
            let transport = await client(on: "live:a", harness)
            let payload = "\"" + String(repeating: "x", count: 9_000) + "\""
            try await harness.shard.receive(
                Array(repeating: (ShardHarness.delivery(payload), channel: "live:a"), count: 20))
            #expect(transport.state.written.count == 20)
            #expect(transport.state.written.allSatisfy { $0.count > 9_000 })
        }
    }
}

extension Shard {
    /// A client of the plain WebSocket.
    fileprivate func openPlain(_ transport: RecordingTransport, _ channel: String) {
        let id = open(
            .plainWebSocket, codec: PlainWebSocket(channel: channel), manner: .address, transport: transport)
        openAddress(id, token: nil, channels: [SubscribeCommand(channel: channel)], cursor: nil)
    }
}
