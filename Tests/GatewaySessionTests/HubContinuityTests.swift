import EventBus
import Events
import GatewayWire
import Testing

@testable import GatewaySession

/// What can go wrong between bus and hub without anybody being told of it.
@Suite(.timeLimit(.minutes(1))) struct HubContinuityTests {
    private let harness: HubHarness
    private var bus: MemoryBus { harness.bus }

    init() throws { harness = try HubHarness() }

    @Test("a client that another gateway has served further is not told that it lost anything")
    func otherGatewayIsFaster() async throws {
        try await harness.run { hub in
            try await harness.publish(1...2)
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(harness.lobby, receiver)
            // This gateway does not hear of 3 and 4 yet.
            bus.loseSubscriptions(prefix: "apus.live.")
            try await harness.publish(3...4, by: bus.anotherConnection())
            let position = StreamPosition(epoch: channel.position.epoch, offset: 4)
            let recovery = try await hub.recover(channel, from: position)
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.isEmpty)
            #expect(recovery.position == position)
            // Those who were here already get what was found on the way.
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [3, 4])
        }
    }

    @Test("who is told that messages are gone is told so behind those that drove them out")
    func drivenOut() async throws {
        try await harness.run { hub in
            try await harness.publish(1...6)
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(harness.lobby, receiver)
            // This gateway does not hear of 7 yet, for which 1 had to go.
            bus.loseSubscriptions(prefix: "apus.live.")
            try await harness.publish(7...7, by: bus.anotherConnection())
            let epoch = channel.position.epoch
            let lost = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 1))
            #expect(lost.outcome == .failed)
            #expect(lost.position.offset == 7)
            await receiver.wait(for: 1)
            #expect(receiver.offsets == [7])
            let whole = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 2))
            #expect(whole.outcome == .recovered)
            #expect(whole.messages.map(\.sequence) == [3, 4, 5, 6, 7])
        }
    }

    @Test("a stream that holds more of a channel than it is to keep is read to its end", arguments: [7, 8, 13, 14, 15])
    func overfull(count: Int) async throws {
        try await harness.run { hub in
            let larger = ChannelHistory(size: 20, timeToLive: harness.history.timeToLive)
            try await bus.ensureStream(.channelHistory(larger, namespace: "room", subjects: harness.subjects))
            try await harness.publish(1...count)
            let channel = try await hub.attach(harness.lobby, RecordingReceiver())
            for back in 1...5 {
                let position = StreamPosition(epoch: channel.position.epoch, offset: UInt64(count - back))
                let recovery = try await hub.recover(channel, from: position)
                #expect(recovery.outcome == .recovered)
                #expect(recovery.messages.map(\.sequence) == (count - back + 1...count).map(UInt64.init))
                #expect(recovery.position.offset == UInt64(count))
            }
        }
    }

    @Test("a quiet channel's position from a gateway that came to it later is good on one that came earlier")
    func quietOnTwoGateways() async throws {
        let quiet = try ChannelName("room:quiet")
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(quiet, receiver)
            try await harness.publish(1...3)
            // Another gateway finds the channel empty, and the stream at 3.
            let position = StreamPosition(epoch: channel.position.epoch, offset: 3)
            let recovery = try await hub.recover(channel, from: position)
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.isEmpty)
            try await harness.publish(4...4, on: quiet)
            await receiver.wait(for: 1)
            #expect(receiver.offsets == [4])
            let beyond = StreamPosition(epoch: position.epoch, offset: 99)
            #expect(try await hub.recover(channel, from: beyond).outcome == .failed)
        }
    }

    @Test("a client with the epoch of a stream that was made anew goes on, though this gateway had the old one")
    func otherGatewayKnowsTheNewEpoch() async throws {
        try await harness.run { hub in
            try await harness.publish(1...3)
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(harness.lobby, receiver)
            let other = bus.anotherConnection()
            bus.loseSubscriptions(prefix: "apus.live.")
            try await other.deleteStream(harness.stream.name)
            let anew = try await other.ensureStream(harness.stream)
            try await harness.publish(1...1, by: other)
            let recovery = try await hub.recover(channel, from: StreamPosition(epoch: anew.epoch, offset: 1))
            #expect(recovery.outcome == .recovered)
            #expect(recovery.position == StreamPosition(epoch: anew.epoch, offset: 1))
            #expect(receiver.interruptions == 1)
        }
    }

    @Test("a subscription that died in silence is found by the audit and made again")
    func audit() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            try await harness.publish(1...1)
            await receiver.wait(for: 1)
            bus.loseSubscriptions(prefix: "apus.live.")
            let other = bus.anotherConnection()
            try await harness.publish(2...3, by: other)
            // The message before proves the first time that the subscription lives.
            hub.audit(limit: 10)
            hub.audit(limit: 10)
            await receiver.wait(for: 3)
            try await harness.publish(4...4, by: other)
            await receiver.wait(for: 4)
            #expect(receiver.offsets == [1, 2, 3, 4])
            #expect(receiver.interruptions == 0)
        }
    }

    @Test("a stream that was made anew under a living connection is noticed by its first message")
    func restarted() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(harness.lobby, receiver)
            try await harness.publish(1...3)
            await receiver.wait(for: 3)
            let before = channel.position.epoch
            try await bus.deleteStream(harness.stream.name)
            try await bus.ensureStream(harness.stream)
            try await harness.publish(1...1)
            await receiver.wait(for: 4)
            #expect(receiver.interruptions == 1)
            #expect(channel.position.epoch != before)
            try await harness.publish(2...2)
            await receiver.wait(for: 5)
            #expect(receiver.offsets == [1, 2, 3, 2])
        }
    }

    @Test("a stream that was made anew and is quiet is noticed by whoever looks at streams")
    func observedEpoch() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            try await bus.deleteStream(harness.stream.name)
            let anew = try await bus.ensureStream(harness.stream)
            hub.observed(epoch: anew.epoch, of: "room")
            await receiver.wait(for: 1)
            #expect(receiver.interruptions == 1)
            hub.observed(epoch: anew.epoch, of: "room")
            try await harness.publish(1...1)
            await receiver.wait(for: 2)
            #expect(receiver.interruptions == 1)
        }
    }

    @Test("the bus goes away once more while the first outage is being healed, and nothing is missed")
    func secondOutage() async throws {
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            let other = bus.anotherConnection()
            for number in 1...4 {
                bus.setConnected(false)
                try await harness.publish(number...number, by: other)
                bus.setConnected(true)
            }
            await receiver.wait(for: 4)
            #expect(receiver.offsets == [1, 2, 3, 4])
        }
    }

    @Test("messages that the bus drops since they come too fast are read from the stream, in their places")
    func slowConsumer() async throws {
        let count = 600
        let harness = try HubHarness(size: count, pendingLimit: 2)
        try await harness.run { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(harness.lobby, receiver)
            let events = harness.bus.connectionEvents()
            try await withThrowingTaskGroup { group in
                for publisher in 0..<4 {
                    group.addTask {
                        let other = harness.bus.anotherConnection()
                        for number in 0..<count / 4 {
                            try await harness.publish(number...number, by: other)
                            if number % 50 == publisher { await Task.yield() }
                        }
                    }
                }
                try await group.waitForAll()
            }
            await receiver.wait(for: count)
            #expect(receiver.offsets == Array(1...UInt64(count)))
            for await event in events {
                if case .slowConsumer = event { break }
            }
        }
    }

    @Test("a thousand clients that come back at once cost the stream one read")
    func storm() async throws {
        let harness = try HubHarness(size: 100)
        try await harness.run { hub in
            try await harness.publish(1...50)
            let channel = try await hub.attach(harness.lobby, RecordingReceiver())
            let epoch = channel.position.epoch
            let before = harness.bus.calls(of: .read)
            try await withThrowingTaskGroup { group in
                for number in 0..<1000 {
                    group.addTask {
                        let start = UInt64(number % 50)
                        let recovery = try await hub.recover(
                            channel, from: StreamPosition(epoch: epoch, offset: start))
                        #expect(recovery.outcome == .recovered)
                        #expect(recovery.messages.map(\.sequence) == Array(start + 1...50))
                    }
                }
                try await group.waitForAll()
            }
            // The stream's state, its messages, and whether the oldest of them is still there.
            #expect(harness.bus.calls(of: .read) - before == 3)
        }
    }

    @Test("more than memory keeps of a channel is recovered from the stream")
    func largeMessages() async throws {
        try await harness.run { hub in
            for number in 1...5 {
                let text = String(repeating: "\(number)", count: 400_000)
                try await bus.append(
                    BusMessage(subject: harness.subjects.channel(harness.lobby), payload: Array("\"\(text)\"".utf8)))
            }
            let channel = try await hub.attach(harness.lobby, RecordingReceiver())
            let start = StreamPosition(epoch: channel.position.epoch, offset: 1)
            for _ in 1...2 {
                let recovery = try await hub.recover(channel, from: start)
                #expect(recovery.outcome == .recovered)
                #expect(recovery.messages.map(\.sequence) == [2, 3, 4, 5])
            }
            #expect(try await hub.history(channel).messages.count == 5)
        }
    }
}

/// Positions on channels whose messages are gone, or never were.
@Suite(.timeLimit(.minutes(1))) struct HistoryEndsTests {
    private let harness: HubHarness
    private var bus: MemoryBus { harness.bus }

    init() throws { harness = try HubHarness() }

    @Test("a quiet channel beside a busy one keeps its positions, by the day's mark")
    func quietBesideBusy() async throws {
        let quiet = try ChannelName("room:quiet")
        try await harness.run { hub in
            let mark = HistoryMark(namespace: "room", subjects: harness.subjects)
            try await mark.write(on: bus, at: SystemBusClock().now)
            // A second gateway finds it there.
            try await mark.write(on: bus, at: SystemBusClock().now)
            try await harness.publish(1...2)
            let receiver = RecordingReceiver()
            let first = try await hub.attach(quiet, receiver)
            let position = first.position
            let start = Moment(milliseconds: 0)
            hub.detach(quiet, receiver, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger))
            try await harness.publish(3...20)
            let channel = try await hub.attach(quiet, receiver)
            #expect(channel !== first)
            let recovery = try await hub.recover(channel, from: position)
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.isEmpty)
        }
    }

    @Test("a removed history is lost only to those who had not seen it, on every gateway, and what follows is not")
    func removal() async throws {
        try await harness.run { hub in
            try await harness.publish(1...3)
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(harness.lobby, receiver)
            let epoch = channel.position.epoch
            #expect(try await hub.history(channel).messages.count == 3)
            try await HistoryRemoval(
                harness.lobby, harness.history, bus: bus.anotherConnection(), subjects: harness.subjects
            ).run()
            try await harness.publish(4...4)
            await receiver.wait(for: 1)
            func expectAll(_ channel: HubChannel) async throws {
                #expect(try await hub.history(channel).messages.map(\.sequence) == [5])
                let seen = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 3))
                #expect(seen.outcome == .recovered)
                #expect(seen.messages.map(\.sequence) == [5])
                let unseen = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 2))
                #expect(unseen.outcome == .failed)
            }
            #expect(receiver.offsets == [5])
            try await expectAll(channel)
            // A gateway that comes later learns it from the stream.
            let start = Moment(milliseconds: 0)
            hub.detach(harness.lobby, receiver, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger))
            try await expectAll(try await hub.attach(harness.lobby, receiver))
        }
    }

    @Test("removing a history that is empty, or was removed just now, changes nothing")
    func removalTwice() async throws {
        try await bus.ensureStream(harness.stream)
        let removal = HistoryRemoval(harness.lobby, harness.history, bus: bus, subjects: harness.subjects)
        try await removal.run()
        #expect(try await bus.streamState(harness.stream.name).messages == 0)
        try await harness.publish(1...3)
        try await removal.run()
        let after = try await bus.streamState(harness.stream.name)
        #expect(after.messages == 1)
        try await removal.run()
        #expect(try await bus.streamState(harness.stream.name) == after)
    }
}
