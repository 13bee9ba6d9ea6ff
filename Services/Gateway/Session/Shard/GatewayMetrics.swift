internal import GatewayWire
internal import Metrics
internal import Synchronization

/// What the gateway counts; see `docs/metrics.md`.
package final class GatewayMetrics: Sendable {
    private let connections: [WireProtocolID: Meter]
    private let subscriptions = Meter(label: "apus_gateway_subscriptions")
    private let framesReceived = Counter(label: "apus_gateway_frames_received_total")
    private let bytesReceived = Counter(label: "apus_gateway_received_bytes_total")
    private let malformedFrames = Counter(label: "apus_gateway_malformed_frames_total")
    private let unheardMessages = Counter(label: "apus_gateway_unheard_messages_total")
    private let deliveries = Counter(label: "apus_gateway_deliveries_total")
    private let drops: [Namespace.SlowPolicy: Counter]
    private let recoveries: [SubscribeResult.Recovery: Counter]

    package init() {
        connections = Dictionary(
            uniqueKeysWithValues: WireProtocolID.allCases.map {
                ($0, Meter(label: "apus_gateway_connections", dimensions: [("protocol", $0.rawValue)]))
            })
        drops = Dictionary(
            uniqueKeysWithValues: Namespace.SlowPolicy.allCases.map {
                ($0, Counter(label: "apus_gateway_slow_total", dimensions: [("policy", $0.rawValue)]))
            })
        recoveries = [
            .recovered: Counter(label: "apus_gateway_recoveries_total", dimensions: [("outcome", "recovered")]),
            .failed: Counter(label: "apus_gateway_recoveries_total", dimensions: [("outcome", "failed")]),
        ]
    }

    func opened(_ protocolID: WireProtocolID) { connections[protocolID]?.increment() }
    func closed(_ protocolID: WireProtocolID) { connections[protocolID]?.decrement() }
    func subscribed() { subscriptions.increment() }
    func unsubscribed() { subscriptions.decrement() }
    func malformedFrame() { malformedFrames.increment() }
    func delivered(_ count: Int) { deliveries.increment(by: Int64(count)) }
    /// The server closed a connection.
    func closed(by disconnect: Disconnect) {
        // A backend's own words are not ours to make a metric of each.
        let reason = Disconnect.all.contains(disconnect) ? disconnect.reason : "custom"
        Counter(label: "apus_gateway_refused_total", dimensions: [("reason", reason)]).increment()
    }

    /// A client sent a message that wants no answer, and that nobody here takes.
    func unheardMessage() { unheardMessages.increment() }

    /// A command was answered with an error.
    func failed(_ failure: ClientFailure) {
        Counter(label: "apus_gateway_errors_total", dimensions: [("code", "\(failure.code)")]).increment()
    }

    func dropped(_ policy: Namespace.SlowPolicy) { drops[policy]?.increment() }
    func recovered(_ outcome: SubscribeResult.Recovery) { recoveries[outcome]?.increment() }

    func received(bytes: Int) {
        framesReceived.increment()
        bytesReceived.increment(by: Int64(bytes))
    }
}
