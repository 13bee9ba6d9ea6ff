package import EventBus
package import Events
package import Logging
internal import Metrics
internal import Synchronization

/// Sends a beat to itself through the bus every few seconds, and listens for it on the bus and on the feed by which channel
/// messages come. If beats do not come back although the connection looks alive, what comes by the connection's
/// subscriptions does not either: then that connection is made anew, and everybody who subscribed finds out as after any
/// other loss of it.
package final class BusCanary: Sendable {
    private let bus: any EventBus
    private let feed: any MessageFeed
    private let subject: String
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let beat = Mutex(CanaryBeat())
    private let reconnects = Counter(label: "apus_gateway_bus_reconnects_total")

    package init(
        node: String, bus: any EventBus, feed: any MessageFeed, subjects: Subjects, logger: Logger,
        clock: @escaping @Sendable () -> Moment
    ) {
        self.bus = bus
        self.feed = feed
        subject = subjects.control("canary.\(node)")
        self.logger = logger
        self.clock = clock
    }

    /// Beats until the task is cancelled.
    package func run() async throws {
        let subscriptions = try subscribe()
        defer { for subscription in subscriptions { subscription.cancel() } }
        while !Task.isCancelled {
            tick()
            let now = clock()
            try? await Task.sleep(for: now.duration(to: now.next(multipleOf: CanaryBeat.interval)))
        }
    }

    /// Begins to listen for beats.
    package func subscribe() throws -> [any BusSubscription] {
        [
            try bus.subscribe(subject) { [self] message in
                guard let number = BusCanary.number(message) else { return }
                beat.withLock { $0.heard(number, now: clock()) }
            },
            try feed.subscribe(subject) { [self] message in
                guard let number = BusCanary.number(message) else { return }
                beat.withLock { $0.heardByFeed(number) }
            },
        ]
    }

    private static func number(_ message: BusMessage) -> UInt64? {
        UInt64(String(decoding: message.payload, as: UTF8.self))
    }

    /// One turn; called every ``CanaryBeat/interval``.
    package func tick() {
        let step = beat.withLock {
            $0.tick(now: clock(), isConnected: bus.isConnected, isFeedConnected: feed.isConnected)
        }
        switch step {
        case .rest: return
        case .send(let number):
            // One that cannot be sent does not come back, which is what is looked for.
            try? bus.publish(BusMessage(subject: subject, payload: Array("\(number)".utf8)))
        case .giveUp:
            reconnects.increment()
            logger.warning("the bus looks alive and delivers nothing; its connection is made anew")
            bus.reconnect()
        case .giveUpFeed:
            reconnects.increment()
            logger.warning("the connection of channel messages looks alive and delivers nothing; it is made anew")
            feed.reconnect()
        }
    }
}

/// When a beat is due, and when too many have not come back. A value without clock or bus.
///
/// The feed is judged only by beats that the bus has brought back: of others nobody knows whether the server had them.
struct CanaryBeat: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case rest
        case send(UInt64)
        case giveUp
        case giveUpFeed
    }

    private var number: UInt64 = 0
    /// Since when beats have not come back; nil if none is under way.
    private var silentSince: Moment?
    /// The newest beat that the feed has brought.
    private var feedNumber: UInt64 = 0
    /// Since when beats come back by the bus and not by the feed; nil if they do by both.
    private var feedSilentSince: Moment?

    static let interval = Duration.seconds(2)
    /// How long a beat may be under way.
    static let patience = Duration.seconds(6)

    init() {}

    mutating func tick(now: Moment, isConnected: Bool, isFeedConnected: Bool = true) -> Step {
        if !isFeedConnected { feedSilentSince = nil }
        guard isConnected else {
            silentSince = nil
            return .rest
        }
        if let since = silentSince, since.advanced(by: CanaryBeat.patience) <= now {
            silentSince = nil
            return .giveUp
        }
        if let since = feedSilentSince, since.advanced(by: CanaryBeat.patience) <= now {
            feedSilentSince = nil
            return .giveUpFeed
        }
        number += 1
        if silentSince == nil { silentSince = now }
        return .send(number)
    }

    /// A beat came back by the bus. An old one proves as much as the newest: the way was open behind it.
    mutating func heard(_ number: UInt64, now: Moment) {
        guard number <= self.number else { return }
        silentSince = nil
        if number > feedNumber, feedSilentSince == nil { feedSilentSince = now }
    }

    /// A beat came by the feed, before or after it came by the bus.
    mutating func heardByFeed(_ number: UInt64) {
        guard number <= self.number else { return }
        feedNumber = max(feedNumber, number)
        feedSilentSince = nil
    }
}
