import EventBus
import Events
import Logging
import Synchronization
import Testing

@testable import GatewaySession

@Suite(.timeLimit(.minutes(1))) struct BusCanaryTests {
    private func at(_ seconds: Int64) -> Moment { Moment(milliseconds: seconds * 1000) }

    @Test("beats that come back keep it quiet, however long")
    func alive() {
        var beat = CanaryBeat()
        for second in 0..<100 {
            let step = beat.tick(now: at(Int64(second) * 2), isConnected: true)
            #expect(step == .send(UInt64(second) + 1))
            beat.heard(UInt64(second) + 1, now: at(Int64(second) * 2))
            beat.heardByFeed(UInt64(second) + 1)
        }
    }

    @Test("beats that do not come back within the patience end it, and it begins anew")
    func dead() {
        var beat = CanaryBeat()
        #expect(beat.tick(now: at(0), isConnected: true) == .send(1))
        #expect(beat.tick(now: at(2), isConnected: true) == .send(2))
        #expect(beat.tick(now: at(4), isConnected: true) == .send(3))
        #expect(beat.tick(now: at(6), isConnected: true) == .giveUp)
        #expect(beat.tick(now: at(8), isConnected: true) == .send(4))
    }

    @Test("an old beat proves that the way is open; a number never sent proves nothing")
    func oldBeat() {
        var beat = CanaryBeat()
        _ = beat.tick(now: at(0), isConnected: true)
        _ = beat.tick(now: at(2), isConnected: true)
        beat.heard(99, now: at(2))
        _ = beat.tick(now: at(4), isConnected: true)
        beat.heard(1, now: at(4))
        #expect(beat.tick(now: at(6), isConnected: true) == .send(4))
    }

    @Test("a connection that is known to be lost is not given up")
    func disconnected() {
        var beat = CanaryBeat()
        _ = beat.tick(now: at(0), isConnected: true)
        for second in 1..<20 { #expect(beat.tick(now: at(Int64(second) * 2), isConnected: false) == .rest) }
        #expect(beat.tick(now: at(40), isConnected: true) == .send(2))
    }

    @Test("a bus whose subscriptions are dead is connected anew, and those on a channel get what they missed")
    func runner() async throws {
        let harness = try HubHarness()
        let seconds = Mutex<Int64>(0)
        let canary = BusCanary(
            node: "n", bus: harness.bus, feed: harness.bus, subjects: harness.subjects, logger: Logger(label: "test"),
            clock: { Moment(milliseconds: seconds.withLock { $0 } * 1000) })
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            let events = harness.bus.connectionEvents()
            harness.bus.loseSubscriptions(prefix: "apus.")
            try await harness.publish(1...2, by: harness.bus.anotherConnection())
            for _ in 0..<4 {
                canary.tick()
                seconds.withLock { $0 += 2 }
            }
            for await event in events where event == .connected { break }
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [1, 2])
        }
    }
}
