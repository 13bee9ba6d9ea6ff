internal import GatewayWire
internal import Metrics
internal import Synchronization

/// What the gateway counts; see `docs/metrics.md`.
///
/// Every series is made at once, so that one that stays at zero can be seen to. Labels come from fixed sets: nothing that
/// a client or a service writes becomes one.
package final class GatewayMetrics: Sendable {
    private let connections: SeriesByCase<WireProtocolID, Meter>
    private let opened: SeriesByCase<WireProtocolID, Counter>
    private let subscriptions: SeriesByCase<WireProtocolID, Meter>
    private let framesReceived = Counter(label: "apus_gateway_frames_received_total")
    private let bytesReceived = Counter(label: "apus_gateway_received_bytes_total")
    private let bytesSent = Counter(label: "apus_gateway_sent_bytes_total")
    private let malformedFrames = Counter(label: "apus_gateway_malformed_frames_total")
    private let unheardMessages = Counter(label: "apus_gateway_unheard_messages_total")
    private let commands: SeriesByCase<CommandKind, Counter>
    private let messages: SeriesByCase<SentKind, Counter>
    private let deliveries = Counter(label: "apus_gateway_deliveries_total")
    private let drops: SeriesByCase<Namespace.SlowPolicy, Counter>
    private let recoveries: [SubscribeResult.Recovery: Counter]
    private let limits: SeriesByCase<GatewayLimit, Counter>
    private let inboxOverflows = Counter(label: "apus_gateway_inbox_overflows_total")
    private let loopLag = Timer(label: "apus_gateway_event_loop_lag_seconds")
    private let deliveryTime = Timer(label: "apus_gateway_delivery_seconds")

    package init() {
        connections = GatewayMetrics.series(WireProtocolID.self, "protocol") {
            Meter(label: "apus_gateway_connections", dimensions: $0)
        }
        opened = GatewayMetrics.series(WireProtocolID.self, "protocol") {
            Counter(label: "apus_gateway_connections_opened_total", dimensions: $0)
        }
        subscriptions = GatewayMetrics.series(WireProtocolID.self, "protocol") {
            Meter(label: "apus_gateway_subscriptions", dimensions: $0)
        }
        commands = GatewayMetrics.series(CommandKind.self, "kind") {
            Counter(label: "apus_gateway_commands_total", dimensions: $0)
        }
        messages = GatewayMetrics.series(SentKind.self, "kind") {
            Counter(label: "apus_gateway_messages_sent_total", dimensions: $0)
        }
        drops = GatewayMetrics.series(Namespace.SlowPolicy.self, "policy") {
            Counter(label: "apus_gateway_slow_total", dimensions: $0)
        }
        limits = GatewayMetrics.series(GatewayLimit.self, "limit") {
            Counter(label: "apus_gateway_limited_total", dimensions: $0)
        }
        recoveries = [
            .recovered: Counter(label: "apus_gateway_recoveries_total", dimensions: [("outcome", "recovered")]),
            .failed: Counter(label: "apus_gateway_recoveries_total", dimensions: [("outcome", "failed")]),
        ]
    }

    /// One series for each case.
    private static func series<Case: CaseIterable & RawRepresentable<String>, Series>(
        _: Case.Type, _ label: String, _ make: ([(String, String)]) -> Series
    ) -> SeriesByCase<Case, Series> {
        SeriesByCase { make([(label, $0.rawValue)]) }
    }

    // MARK: Connections

    func opened(_ protocolID: WireProtocolID) {
        connections[protocolID].increment()
        opened[protocolID].increment()
    }
    func closed(_ protocolID: WireProtocolID) { connections[protocolID].decrement() }
    func subscribed(_ protocolID: WireProtocolID) { subscriptions[protocolID].increment() }
    func unsubscribed(_ protocolID: WireProtocolID) { subscriptions[protocolID].decrement() }
    func recovered(_ outcome: SubscribeResult.Recovery) { recoveries[outcome]?.increment() }

    /// The server closed a connection.
    func closed(by disconnect: Disconnect) {
        // A backend's own words are not ours to make a metric of each.
        let reason = Disconnect.all.contains(disconnect) ? disconnect.reason : "custom"
        Counter(label: "apus_gateway_refused_total", dimensions: [("reason", reason)]).increment()
    }

    // MARK: In

    func malformedFrame() { malformedFrames.increment() }
    /// A client sent a message that wants no answer, and that nobody here takes.
    func unheardMessage() { unheardMessages.increment() }
    func received(_ kind: CommandKind) { commands[kind].increment() }

    /// A client ran into a limit.
    package func limited(_ limit: GatewayLimit) { limits[limit].increment() }

    /// The hub gave a shard more than fits into its inbox.
    func overflowed() { inboxOverflows.increment() }

    func received(bytes: Int) {
        framesReceived.increment()
        bytesReceived.increment(by: Int64(bytes))
    }

    /// A command was answered with an error.
    func failed(_ failure: ClientFailure) {
        Counter(
            label: "apus_gateway_errors_total", dimensions: [("code", GatewayMetrics.label(ofCode: failure.code))]
        ).increment()
    }

    /// The gateway's own codes and those of HTTP; a service may write any other.
    static func label(ofCode code: UInt32) -> String {
        switch code {
        case 100...112, 400...431, 500...511: "\(code)"
        default: "other"
        }
    }

    // MARK: Out

    /// Messages were queued for clients; `bytes` is what all of them come to, before framing and compression.
    func sent(_ kind: SentKind, count: Int = 1, bytes: Int) {
        guard count > 0 else { return }
        messages[kind].increment(by: Int64(count))
        bytesSent.increment(by: Int64(bytes))
        if kind == .publication { deliveries.increment(by: Int64(count)) }
    }

    func dropped(_ policy: Namespace.SlowPolicy) { drops[policy].increment() }

    /// How long the oldest message of a batch took from its arrival at the gateway to the write.
    func delivered(nanoseconds: Int64) { deliveryTime.recordNanoseconds(max(0, nanoseconds)) }

    /// How much later than asked for an event loop ran something.
    package func lagged(nanoseconds: Int64) { loopLag.recordNanoseconds(max(0, nanoseconds)) }
}
