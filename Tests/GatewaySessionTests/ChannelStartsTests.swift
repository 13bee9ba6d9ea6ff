import EventBus
import Events
import GatewayWire
import Logging
import Synchronization
import TestKit
import Testing

@testable import GatewaySession

/// Where channels begin, and how little is asked for that.
@Suite(.timeLimit(.minutes(1))) struct ChannelStartsTests {
    let harness: HubHarness

    init() throws { harness = try HubHarness() }

    /// What a hub asks of its bus while it holds its answers back.
    private final class Questions: Sendable {
        private let counts = Mutex<[BusCall.Operation: Int]>([:])

        func count(_ operation: BusCall.Operation) -> Int { counts.withLock { $0[operation] ?? 0 } }
        func note(_ call: BusCall) { counts.withLock { $0[call.operation, default: 0] += 1 } }
    }

    private func run(_ questions: Questions, _ body: (Hub) async throws -> Void) async throws {
        try await harness.bus.ensureStream(harness.stream)
        let bus = FaultyBus(harness.bus) { call in
            questions.note(call)
            return nil
        }
        let hub = Hub(
            bus: bus, feed: harness.bus, subjects: harness.subjects, namespaces: harness.namespaces,
            logger: Logger(label: "test"), clock: { SystemBusClock().now })
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            try await body(hub)
            group.cancelAll()
        }
    }

    private func channel(_ number: Int) throws -> HubChannel {
        let harness = harness
        let hub = Hub(
            bus: harness.bus, feed: harness.bus, subjects: harness.subjects, namespaces: harness.namespaces,
            logger: Logger(label: "test"), clock: { SystemBusClock().now })
        return HubChannel(name: try ChannelName("room:\(number)"), history: harness.history, hub: hub)
    }

    @Test(
        "who comes first begins the rounds, who comes during one is in the next, and after the last somebody is first again"
    )
    func rounds() throws {
        let starts = ChannelStarts()
        func add(_ number: Int) throws -> Bool {
            starts.add(ChannelStarts.Start(channel: try channel(number), isExact: false))
        }
        func next() -> [String]? { starts.nextRound()?.map { $0.channel.name.description } }
        #expect(try add(1))
        #expect(try add(2) == false)
        #expect(next() == ["room:1", "room:2"])
        #expect(!starts.isAnyWaiting)
        #expect(try add(3) == false)
        #expect(starts.isAnyWaiting)
        #expect(next() == ["room:3"])
        #expect(next() == nil)
        #expect(try add(4))
        #expect(next() == ["room:4"])
    }

    @Test("a hundred channels that begin at once cost a few questions, and none for each")
    func together() async throws {
        let questions = Questions()
        try await run(questions) { hub in
            try await harness.publish(1...3)
            let receiver = RecordingReceiver()
            try await withThrowingTaskGroup(of: HubChannel.self) { group in
                for number in 0..<100 {
                    let name = try ChannelName("room:\(number)")
                    group.addTask { try await hub.attach(name, receiver) }
                }
                for try await channel in group { #expect(channel.position.offset == 3) }
            }
            #expect(questions.count(.lastMessage) == 0)
            // Each is in one round, and a round that others follow rests before they go.
            #expect(questions.count(.streamState) < 50)
            // Every one of them gets what comes.
            for number in 0..<100 { try await harness.publish(1...1, on: try ChannelName("room:\(number)")) }
            await receiver.wait(for: 100)
            #expect(Set(receiver.offsets) == Set(4...103))
        }
    }

    @Test("a channel begins at the end of its stream, and for a client that comes back at its own last message")
    func exact() async throws {
        let questions = Questions()
        try await run(questions) { hub in
            try await harness.publish(1...2)
            try await harness.publish(1...3, on: try ChannelName("room:other"))
            let receiver = RecordingReceiver()
            let start = Moment(milliseconds: 0)
            let fresh = try await hub.attach(harness.lobby, receiver)
            #expect(fresh.position.offset == 5)
            let position = fresh.position
            hub.detach(harness.lobby, receiver, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger))
            let exact = try await hub.attach(harness.lobby, receiver, isRecovering: true)
            #expect(exact.position.offset == 2)
            #expect(exact.position.epoch == position.epoch)
            let asked = questions.count(.messages)
            // Memory knows, with nothing read, that whoever has the last message has missed nothing.
            let own = try await hub.recover(exact, from: StreamPosition(epoch: position.epoch, offset: 2))
            #expect((own.outcome, own.messages.count) == (.recovered, 0))
            #expect(questions.count(.messages) == asked)
            // And so has whoever was told the stream's end.
            let end = try await hub.recover(exact, from: position)
            #expect((end.outcome, end.messages.count) == (.recovered, 0))
        }
    }

    @Test("who comes back to a channel that began at the stream's end gets what was missed before it")
    func recoversBefore() async throws {
        try await run(Questions()) { hub in
            try await harness.publish(1...4)
            try await harness.publish(1...3, on: try ChannelName("room:other"))
            let channel = try await hub.attach(harness.lobby, RecordingReceiver())
            let epoch = channel.position.epoch
            let recovery = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 2))
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.map(\.sequence) == [3, 4])
            #expect(recovery.position.offset == 7)
        }
    }

    @Test("when the bus does not answer, all that wait are told so, and the next who asks begins anew")
    func failure() async throws {
        try await harness.bus.ensureStream(harness.stream)
        let fails = Mutex(true)
        let bus = FaultyBus(harness.bus) { call in
            guard call.operation == .streamState, fails.withLock({ $0 }) else { return nil }
            return .refused(BusError(.timeout, "no answer"))
        }
        let hub = Hub(
            bus: bus, feed: harness.bus, subjects: harness.subjects, namespaces: harness.namespaces,
            logger: Logger(label: "test"), clock: { SystemBusClock().now })
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            let receiver = RecordingReceiver()
            let failed = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<10 {
                    group.addTask { (try? await hub.attach(harness.lobby, receiver)) == nil }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(failed == 10)
            fails.withLock { $0 = false }
            let channel = try await hub.attach(harness.lobby, receiver)
            #expect(channel.position.offset == 0)
            group.cancelAll()
        }
    }
}
