internal import EventBus
internal import Events
internal import GatewaySession
internal import GatewayWire
internal import Identity
internal import Logging
internal import NATSClient

/// A message's way through the gateway, in the pieces of which it consists: NATS's protocol, the hub, the shard.
extension GatewayProbe {
    private static let payload = Array((#"{"text":""# + String(repeating: "x", count: 117) + #""}"#).utf8)

    /// A message as the server sends it, among others in one piece of input.
    static func parseMessage() -> GatewayProbe {
        let count = 100
        let operation = Array("MSG apus.channel.live.lobby 1 \(payload.count)\r\n".utf8) + payload + Array("\r\n".utf8)
        let input = (0..<count).flatMap { _ in operation }
        let reader = MessageReader()
        return GatewayProbe(name: "read 100 messages of NATS's protocol") { reader.read(input) }
    }

    private final class MessageReader {
        private var parser = CoreParser()

        func read(_ input: [UInt8]) -> Int {
            input.withUnsafeBytes { bytes in
                var rest = bytes
                var read = 0
                while case .message(let message)? = try? parser.next(&rest) { read += message.payload.count }
                return read
            }
        }
    }

    /// From the feed to whoever wants the channel, and from there to the only subscriber's transport.
    static func deliver() async throws -> [GatewayProbe] {
        let gateway = SmallGateway()
        let running = Task { await gateway.hub.run() }
        defer { running.cancel() }
        let message = BusMessage(subject: "", payload: payload)
        let receiver = CountingReceiver()
        let bare = try await gateway.hub.attach(try ChannelName("live:hub"), receiver)
        // Followed by the hub before anybody subscribes, so that subscribing waits for nobody.
        let followed = try await gateway.hub.attach(try ChannelName("live:shard"), receiver)
        gateway.subscribe(to: "live:shard")
        gateway.hub.detach(followed.name, receiver, now: gateway.moment)
        return [
            GatewayProbe(name: "take a message from the feed") {
                bare.receive(message)
                return receiver.count
            },
            GatewayProbe(name: "take a message to its only subscriber") {
                followed.receive(message)
                return gateway.drain()
            },
        ]
    }

    /// Wants a channel and does nothing with its messages. Used on one thread.
    private final class CountingReceiver: ChannelReceiver {
        nonisolated(unsafe) private(set) var count = 0

        func receive(_ delivery: ChannelDelivery) {
            if case .message = delivery { count &+= 1 }
        }
    }
}

/// One shard without sockets on a bus in memory, all on the thread of its caller.
private struct SmallGateway {
    let hub: Hub
    let moment = Moment(milliseconds: 1_000_000)
    private let shard: Shard
    private let executor = CallersExecutor()
    private let transport = CountingTransport()

    init() {
        let (bus, subjects, logger) = (MemoryBus(), Subjects.standard, Logger(label: "probe"))
        let namespaces = NamespaceTable(configured: [Namespace(name: "live", subscribe: .anyone)])
        let moment = moment
        let clock = GatewayClock(moment: { moment }, time: { SystemBusClock().now })
        let hub = Hub(
            bus: bus, feed: bus, subjects: subjects, namespaces: namespaces, logger: logger, clock: clock.time)
        let limits = GatewayLimits(outboundBytes: 0)
        let environment = ShardEnvironment(
            rules: SessionRules(
                policy: ChannelPolicy(namespaces: namespaces), limits: limits, allowsAnonymous: true,
                pingInterval: .seconds(25), version: "probe",
                verify: { _, _ throws(IdentityError) in Identity(user: "") }),
            hub: hub,
            backend: ChannelBackend(bus: bus, subjects: subjects, namespaces: namespaces, makeMessageID: { "" }),
            presence: PresenceService(
                node: "probe", bus: bus, subjects: subjects, logger: logger, clock: clock.moment, onChange: { _ in }),
            users: UserRegistry(limits: limits), metrics: GatewayMetrics(), clock: clock,
            makeClientID: { RandomID(high: 0, low: 1) }, logger: logger)
        self.hub = hub
        shard = Shard(executor: executor.asUnownedSerialExecutor(), environment: environment) { _ in }
    }

    func subscribe(to channel: String) {
        let transport = transport
        let frame = Array(
            "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"\(channel)\"}}".utf8)
        shard.assumeIsolated { shard in
            let id = shard.open(
                .centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: transport)
            shard.receive(frame, from: id)
        }
    }

    /// - Returns: how many bytes have been written in all.
    func drain() -> Int {
        shard.assumeIsolated { $0.drainInbox() }
        return transport.written
    }
}

/// Takes every thread for its own, and does what it is given at once: there is only the benchmark's.
private final class CallersExecutor: SerialExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        UnownedJob(job).runSynchronously(on: asUnownedSerialExecutor())
    }

    func checkIsolated() {}
    func isIsolatingCurrentContext() -> Bool? { true }
}

private final class CountingTransport: Transport, Sendable {
    nonisolated(unsafe) private(set) var written = 0

    func write(_ bytes: [UInt8]) { written &+= bytes.count }
    func write(_ frame: SharedFrame) { written &+= frame.count }
    func flush() {}
    var outstandingBytes: Int { 0 }
    func start() {}
    func ping() {}
    func close(_ disconnect: Disconnect) {}
}
