import EventBus
import Events
import GatewaySession
import GatewayWire
import Logging
import Synchronization
import Testing

/// The hub on the bus in memory: continuity, recovery, and what is said when messages are gone.
@Suite(.timeLimit(.minutes(1))) struct HubTests {
    /// A shard that keeps what it is given and lets a test wait for it.
    final class Receiver: ChannelReceiver {
        private struct State {
            var deliveries: [ChannelDelivery] = []
            var waiter: (count: Int, CheckedContinuation<Void, Never>)?
        }
        private let state = Mutex(State())

        func receive(_ delivery: ChannelDelivery) {
            let ready = state.withLock { state -> CheckedContinuation<Void, Never>? in
                state.deliveries.append(delivery)
                guard let waiter = state.waiter, state.deliveries.count >= waiter.count else { return nil }
                state.waiter = nil
                return waiter.1
            }
            ready?.resume()
        }

        func wait(for count: Int) async {
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if state.deliveries.count >= count { return true }
                    state.waiter = (count, continuation)
                    return false
                }
                if isThere { continuation.resume() }
            }
        }

        var offsets: [UInt64] {
            state.withLock { $0.deliveries }.compactMap {
                if case .message(let message, _) = $0 { message.publication.offset } else { nil }
            }
        }

        var interruptions: Int {
            state.withLock { $0.deliveries }.count { if case .interrupted = $0 { true } else { false } }
        }
    }

    private let bus = MemoryBus()
    private let subjects = Subjects.standard
    private let lobby: ChannelName
    private let history = ChannelHistory(size: 5, timeToLive: .seconds(3600))
    private let namespaces: NamespaceTable

    init() throws {
        lobby = try ChannelName("room:lobby")
        namespaces = NamespaceTable(configured: [
            Namespace(name: "room", subscribe: .authenticated, history: history),
            Namespace(name: "live", subscribe: .authenticated),
        ])
    }

    private func withHub(_ body: (Hub) async throws -> Void) async throws {
        try await bus.ensureStream(.channelHistory(history, namespace: "room", subjects: subjects))
        let hub = Hub(
            bus: bus, subjects: subjects, namespaces: namespaces, logger: Logger(label: "test"),
            clock: { SystemBusClock().now })
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            try await body(hub)
            group.cancelAll()
        }
    }

    private func publish(_ numbers: ClosedRange<Int>) async throws {
        for number in numbers {
            try await bus.append(BusMessage(subject: subjects.channel(lobby), payload: Array("\(number)".utf8)))
        }
    }

    @Test("messages come once and in order, and a reader that was away goes on where it was")
    func continues() async throws {
        try await withHub { hub in
            try await publish(1...3)
            let receiver = Receiver()
            let channel = try await hub.attach(lobby, receiver)
            #expect(channel.position.offset == 3)
            try await publish(4...5)
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [4, 5])
            let recovery = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 1))
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.map(\.sequence) == [2, 3, 4, 5])
            #expect(recovery.position.offset == 5)
        }
    }

    @Test("exactly a whole history behind is recovered, one more is not")
    func recoveryLimit() async throws {
        try await withHub { hub in
            try await publish(1...8)
            let channel = try await hub.attach(lobby, Receiver())
            let epoch = channel.position.epoch
            let inside = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 3))
            #expect(inside.outcome == .recovered)
            #expect(inside.messages.map(\.sequence) == [4, 5, 6, 7, 8])
            let outside = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 1))
            #expect(outside.outcome == .failed)
            #expect(outside.messages.isEmpty)
            let unchanged = try await hub.recover(channel, from: channel.position)
            #expect(unchanged.outcome == .recovered)
            #expect(unchanged.messages.isEmpty)
        }
    }

    @Test("another life of the stream, or a position from the future, cannot be continued")
    func otherEpoch() async throws {
        try await withHub { hub in
            try await publish(1...2)
            let channel = try await hub.attach(lobby, Receiver())
            let other = try await hub.recover(channel, from: StreamPosition(epoch: "other", offset: 2))
            #expect(other.outcome == .failed)
            let future = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 99))
            #expect(future.outcome == .failed)
        }
    }

    @Test("messages that were missed while the bus was away are read from the stream when it is back")
    func healsAfterOutage() async throws {
        try await withHub { hub in
            let receiver = Receiver()
            _ = try await hub.attach(lobby, receiver)
            try await publish(1...1)
            await receiver.wait(for: 1)
            let other = bus.anotherConnection()
            bus.setConnected(false)
            for number in 2...4 {
                try await other.append(BusMessage(subject: subjects.channel(lobby), payload: Array("\(number)".utf8)))
            }
            bus.setConnected(true)
            await receiver.wait(for: 4)
            #expect(receiver.offsets == [1, 2, 3, 4])
            #expect(receiver.interruptions == 0)
        }
    }

    @Test("more missed than the history keeps is said, not passed over")
    func saysWhenLost() async throws {
        try await withHub { hub in
            let receiver = Receiver()
            _ = try await hub.attach(lobby, receiver)
            try await publish(1...1)
            await receiver.wait(for: 1)
            let other = bus.anotherConnection()
            bus.setConnected(false)
            for number in 2...12 {
                try await other.append(BusMessage(subject: subjects.channel(lobby), payload: Array("\(number)".utf8)))
            }
            bus.setConnected(true)
            await receiver.wait(for: 2)
            #expect(receiver.interruptions == 1)
            try await publish(13...13)
            await receiver.wait(for: 3)
            #expect(receiver.offsets == [1, 13])
        }
    }

    @Test("a stream that was made anew is told to those who are on its channels")
    func recreated() async throws {
        try await withHub { hub in
            let receiver = Receiver()
            let channel = try await hub.attach(lobby, receiver)
            try await publish(1...2)
            await receiver.wait(for: 2)
            let before = channel.position.epoch
            bus.setConnected(false)
            let other = bus.anotherConnection()
            try await other.deleteStream(subjects.historyStream(namespace: "room"))
            try await other.ensureStream(.channelHistory(history, namespace: "room", subjects: subjects))
            bus.setConnected(true)
            await receiver.wait(for: 3)
            #expect(receiver.interruptions == 1)
            #expect(channel.position.epoch != before)
        }
    }

    @Test("a channel without history passes on what comes, and only JSON")
    func withoutHistory() async throws {
        try await withHub { hub in
            let receiver = Receiver()
            let name = try ChannelName("live:x")
            let channel = try await hub.attach(name, receiver)
            #expect(channel.history == nil)
            try bus.publish(BusMessage(subject: subjects.channel(name), payload: Array("not JSON".utf8)))
            try bus.publish(BusMessage(subject: subjects.channel(name), payload: Array("1".utf8)))
            await receiver.wait(for: 1)
            #expect(receiver.offsets.isEmpty)
        }
    }

    @Test("a channel that nobody wants ends after a while, and begins anew for the next")
    func lingers() async throws {
        try await withHub { hub in
            let first = Receiver()
            let channel = try await hub.attach(lobby, first)
            let start = Moment(milliseconds: 0)
            hub.detach(lobby, first, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger - .milliseconds(1)))
            #expect(try await hub.attach(lobby, first) === channel)
            hub.detach(lobby, first, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger))
            #expect(try await hub.attach(lobby, first) !== channel)
        }
    }
}
