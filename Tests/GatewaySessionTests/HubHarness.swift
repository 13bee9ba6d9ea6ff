import EventBus
import Events
import GatewaySession
import GatewayWire
import Logging
import Synchronization

/// A shard that keeps what it is given and lets a test wait for it.
final class RecordingReceiver: ChannelReceiver {
    private struct State {
        var deliveries: [ChannelDelivery] = []
        var waiter: (count: Int, CheckedContinuation<Void, Never>)?
    }
    private let state = Mutex(State())

    func receive(_ delivery: ChannelDelivery) {
        switch delivery {
        // Every channel starts.
        case .started, .startFailed: return
        case .message, .interrupted, .presence: break
        }
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
            if case .message(let message) = $0 { message.publication.offset } else { nil }
        }
    }

    /// What clients got: the event's name and the payload.
    var publications: [String] {
        state.withLock { $0.deliveries }.compactMap {
            guard case .message(let message) = $0 else { return nil }
            return "\(message.publication.event) \(String(decoding: message.publication.payload, as: UTF8.self))"
        }
    }

    var interruptions: Int {
        state.withLock { $0.deliveries }.count { if case .interrupted = $0 { true } else { false } }
    }
}

/// A hub on the bus in memory, with a namespace whose history is small.
struct HubHarness {
    let bus: MemoryBus
    /// The bus itself, or another connection to the same server.
    let feed: MemoryBus
    let subjects = Subjects.standard
    let lobby: ChannelName
    let history: ChannelHistory
    let namespaces: NamespaceTable

    init(
        size: Int = 5, pendingLimit: Int = MemoryBus.defaultPendingLimit, hasOwnFeed: Bool = false
    ) throws {
        bus = MemoryBus(pendingLimit: pendingLimit)
        feed = hasOwnFeed ? bus.anotherConnection() : bus
        lobby = try ChannelName("room:lobby")
        history = ChannelHistory(size: size, timeToLive: .seconds(3600))
        namespaces = NamespaceTable(configured: [
            Namespace(name: "room", subscribe: .authenticated, history: history),
            Namespace(name: "live", subscribe: .authenticated),
        ])
    }

    var stream: StreamSpecification { .channelHistory(history, namespace: "room", subjects: subjects) }

    func run(_ body: (Hub) async throws -> Void) async throws {
        try await bus.ensureStream(stream)
        let hub = Hub(
            bus: bus, feed: feed, subjects: subjects, namespaces: namespaces, logger: Logger(label: "test"),
            clock: { SystemBusClock().now })
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await hub.run() }
            try await body(hub)
            group.cancelAll()
        }
    }

    /// Publishes the numbers, by another connection than the hub's if one is given.
    func publish(_ numbers: ClosedRange<Int>, on channel: ChannelName? = nil, by other: MemoryBus? = nil) async throws {
        for number in numbers {
            try await (other ?? bus).append(
                BusMessage(subject: subjects.channel(channel ?? lobby), payload: Array("\(number)".utf8)))
        }
    }
}
