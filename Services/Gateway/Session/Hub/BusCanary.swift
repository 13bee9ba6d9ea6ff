package import EventBus
package import Events
package import Logging
internal import Metrics
internal import Synchronization

/// Sends a beat to itself through the bus every few seconds. If beats do not come back although the connection looks
/// alive, what comes by the connection's subscriptions does not either: then the connection is made anew, and everybody
/// who subscribed finds out as after any other loss of it.
package final class BusCanary: Sendable {
    private let bus: any EventBus
    private let subject: String
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let beat = Mutex(CanaryBeat())
    private let reconnects = Counter(label: "apus_gateway_bus_reconnects_total")

    package init(
        node: String, bus: any EventBus, subjects: Subjects, logger: Logger, clock: @escaping @Sendable () -> Moment
    ) {
        self.bus = bus
        subject = subjects.control("canary.\(node)")
        self.logger = logger
        self.clock = clock
    }

    /// Beats until the task is cancelled.
    package func run() async throws {
        let subscription = try bus.subscribe(subject) { [self] message in
            guard let number = UInt64(String(decoding: message.payload, as: UTF8.self)) else { return }
            beat.withLock { $0.heard(number) }
        }
        defer { subscription.cancel() }
        while !Task.isCancelled {
            tick()
            try? await Task.sleep(for: CanaryBeat.interval)
        }
    }

    /// One turn; called every ``CanaryBeat/interval``.
    package func tick() {
        switch beat.withLock({ $0.tick(now: clock(), isConnected: bus.isConnected) }) {
        case .rest: return
        case .send(let number):
            // One that cannot be sent does not come back, which is what is looked for.
            try? bus.publish(BusMessage(subject: subject, payload: Array("\(number)".utf8)))
        case .giveUp:
            reconnects.increment()
            logger.warning("the bus looks alive and delivers nothing; its connection is made anew")
            bus.reconnect()
        }
    }
}

/// When a beat is due, and when too many have not come back. A value without clock or bus.
struct CanaryBeat: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case rest
        case send(UInt64)
        case giveUp
    }

    private var number: UInt64 = 0
    /// Since when beats have not come back; nil if none is under way.
    private var silentSince: Moment?

    static let interval = Duration.seconds(2)
    /// How long a beat may be under way.
    static let patience = Duration.seconds(6)

    init() {}

    mutating func tick(now: Moment, isConnected: Bool) -> Step {
        guard isConnected else {
            silentSince = nil
            return .rest
        }
        if let since = silentSince, since.advanced(by: CanaryBeat.patience) <= now {
            silentSince = nil
            return .giveUp
        }
        number += 1
        if silentSince == nil { silentSince = now }
        return .send(number)
    }

    /// A beat came back. An old one proves as much as the newest: the way was open behind it.
    mutating func heard(_ number: UInt64) {
        if number <= self.number { silentSince = nil }
    }
}
