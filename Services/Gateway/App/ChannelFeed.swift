internal import EventBus
internal import EventBusNATS
internal import GatewaySession
internal import Logging
internal import Metrics
internal import Reactor
internal import ServiceKit
internal import ServiceLifecycle

/// By which connection the messages of channels come.
package enum FeedChoice: String, Sendable, CaseIterable {
    /// A connection of their own, where there is no TLS.
    case auto
    case libnats
}

extension ServiceContext {
    /// The feed of channel messages: on the reactor, or the bus itself.
    func channelFeed(_ choice: FeedChoice, on reactor: Reactor) -> any MessageFeed {
        guard let nats else { return bus }
        return NATSMessageFeed.make(nats, bus: bus, isAllowed: choice == .auto, on: reactor, logger: logger)
    }
}

/// Follows the connection of channel messages while the gateway runs, and ends it after all that use it.
struct FeedRunner: Service {
    let feed: any MessageFeed
    let readiness: ServiceKit.Readiness

    func run() async throws {
        let events = feed.connectionEvents()
        let isConnected = Gauge(label: "apus_gateway_feed_connected")
        let losses = Counter(label: "apus_gateway_feed_losses_total")
        func note(_ holds: Bool) {
            readiness.set("feed", holds)
            isConnected.record(holds ? 1 : 0)
        }
        note(feed.isConnected)
        for await event in events.cancelOnGracefulShutdown() {
            switch event {
            case .connected: note(true)
            case .disconnected, .closed:
                losses.increment()
                note(false)
            case .slowConsumer: losses.increment()
            }
        }
        (feed as? NATSMessageFeed)?.close()
    }
}
