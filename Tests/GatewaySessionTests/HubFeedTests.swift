import EventBus
import Events
import GatewayWire
import Logging
import Synchronization
import Testing

@testable import GatewaySession

/// A hub whose channel messages come by another connection than that by which it reads streams.
@Suite(.timeLimit(.minutes(1))) struct HubFeedTests {
    private let harness: HubHarness
    private var bus: MemoryBus { harness.bus }
    private var feed: MemoryBus { harness.feed }

    init() throws { harness = try HubHarness(hasOwnFeed: true) }

    @Test("channel messages come by the feed, and the bus's subscriptions have no part in it")
    func comesByFeed() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            bus.loseSubscriptions(prefix: "apus.")
            try await harness.publish(1...2)
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [1, 2])
        }
    }

    @Test("what was missed while the feed was away is read when it is back, though the bus was never away")
    func feedAway() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            feed.setConnected(false)
            try await harness.publish(1...3)
            await #expect(throws: BusError.self) {
                try await hub.attach(try ChannelName("room:other"), RecordingReceiver())
            }
            feed.setConnected(true)
            await receiver.wait(for: 3)
            #expect(receiver.offsets == [1, 2, 3])
        }
    }

    @Test("while the bus alone is away messages go on, and a gap before one is read when the bus is back")
    func busAway() async throws {
        let other = bus.anotherConnection()
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            bus.setConnected(false)
            try await harness.publish(1...1, by: other)
            await receiver.wait(for: 1)
            feed.setConnected(false)
            try await harness.publish(2...3, by: other)
            feed.setConnected(true)
            try await harness.publish(4...4, by: other)
            bus.setConnected(true)
            await receiver.wait(for: 4)
            #expect(receiver.offsets == [1, 2, 3, 4])
        }
    }

    @Test("a feed whose subscriptions are dead is connected anew, and the bus is left alone")
    func deadFeed() async throws {
        let seconds = Mutex<Int64>(0)
        let canary = BusCanary(
            node: "n", bus: bus, feed: feed, subjects: harness.subjects, logger: Logger(label: "test"),
            clock: { Moment(milliseconds: seconds.withLock { $0 } * 1000) })
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            let beats = try canary.subscribe()
            let feedEvents = feed.connectionEvents()
            let busEvents = bus.connectionEvents()
            feed.loseSubscriptions(prefix: "apus.")
            try await harness.publish(1...2)
            for _ in 0..<5 {
                canary.tick()
                // The beat is back by the bus when this returns.
                try await bus.flush(timeout: .seconds(5))
                seconds.withLock { $0 += 2 }
            }
            for await event in feedEvents where event == .connected { break }
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [1, 2])
            bus.reconnect()
            var busSeen: [BusConnectionEvent] = []
            for await event in busEvents {
                busSeen.append(event)
                if event == .connected { break }
            }
            // Only what this test did itself.
            #expect(busSeen == [.disconnected, .connected])
            for beat in beats { beat.cancel() }
        }
    }

    @Test("beats that come by the feed before they come by the bus are no silence")
    func order() {
        func at(_ seconds: Int64) -> Moment { Moment(milliseconds: seconds * 1000) }
        var beat = CanaryBeat()
        for second in stride(from: 0, to: 100, by: 2) as StrideTo<Int64> {
            guard case .send(let number) = beat.tick(now: at(second), isConnected: true) else {
                Issue.record("a beat was not sent at \(second) s")
                return
            }
            beat.heardByFeed(number)
            beat.heard(number, now: at(second))
        }
    }

    @Test("a feed is given up only when beats come back by the bus, and not while it is known to be away")
    func judgement() {
        func at(_ seconds: Int64) -> Moment { Moment(milliseconds: seconds * 1000) }
        var beat = CanaryBeat()
        var steps: [CanaryBeat.Step] = []
        for second in stride(from: 0, through: 8, by: 2) as StrideThrough<Int64> {
            let step = beat.tick(now: at(second), isConnected: true)
            if case .send(let number) = step { beat.heard(number, now: at(second)) }
            steps.append(step)
        }
        #expect(steps == [.send(1), .send(2), .send(3), .giveUpFeed, .send(4)])
        beat = CanaryBeat()
        for second in stride(from: 0, through: 100, by: 2) as StrideThrough<Int64> {
            let step = beat.tick(now: at(second), isConnected: true, isFeedConnected: false)
            guard case .send(let number) = step else {
                Issue.record("\(step) at \(second) s")
                return
            }
            beat.heard(number, now: at(second))
        }
        // A number that was never sent proves nothing.
        beat = CanaryBeat()
        for second in stride(from: 0, through: 4, by: 2) as StrideThrough<Int64> {
            if case .send(let number) = beat.tick(now: at(second), isConnected: true) {
                beat.heard(number, now: at(second))
            }
            beat.heardByFeed(99)
        }
        #expect(beat.tick(now: at(6), isConnected: true) == .giveUpFeed)
    }
}
