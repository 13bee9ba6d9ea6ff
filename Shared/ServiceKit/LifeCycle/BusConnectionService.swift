internal import EventBus
internal import Logging
internal import Metrics
internal import ServiceLifecycle

/// Follows the connection to the bus while the service runs, and closes it last of all.
struct BusConnectionService: Service {
    let bus: any EventBus
    let readiness: Readiness
    let closeTimeout: Duration
    let logger: Logger

    static let metrics = [
        "apus_bus_connected": "1 while a NATS server can be reached",
        "apus_bus_dropped_total": "messages that came faster than they were taken, dropped by the NATS client library",
    ]

    func run() async throws {
        let events = bus.connectionEvents()
        readiness.set("bus", bus.isConnected)
        let isConnected = Gauge(label: "apus_bus_connected")
        isConnected.record(bus.isConnected ? 1 : 0)
        let drops = Counter(label: "apus_bus_dropped_total")
        for await event in events.cancelOnGracefulShutdown() {
            switch event {
            case .connected:
                readiness.set("bus", true)
                isConnected.record(1)
                logger.info("connected to NATS")
            case .disconnected:
                readiness.set("bus", false)
                isConnected.record(0)
                logger.warning("lost the connection to NATS; trying again until it is back")
            case .slowConsumer(let subject, let dropped):
                drops.increment(by: Int64(clamping: dropped))
                logger.warning(
                    "messages came faster than they were taken and were dropped",
                    metadata: ["bus.subject": "\(subject)", "bus.dropped": "\(dropped)"])
            case .closed:
                readiness.set("bus", false)
                logger.error("the connection to NATS was closed")
            }
        }
        await bus.close(timeout: closeTimeout)
    }
}
