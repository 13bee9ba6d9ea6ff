internal import GatewayWire
internal import Metrics

/// What presence counts; see `docs/metrics.md`.
struct PresenceMetrics: Sendable {
    private let joins = Counter(label: "apus_gateway_presence_changes_total", dimensions: [("kind", "joined")])
    private let leaves = Counter(label: "apus_gateway_presence_changes_total", dimensions: [("kind", "left")])
    private let returned = Counter(label: "apus_gateway_presence_lingers_total", dimensions: [("outcome", "returned")])
    private let gone = Counter(label: "apus_gateway_presence_lingers_total", dimensions: [("outcome", "gone")])
    private let expired = Counter(label: "apus_gateway_presence_expired_gateways_total")
    private let gateways = Gauge(label: "apus_gateway_presence_gateways")
    private let failures = Counter(label: "apus_gateway_presence_announcement_failures_total")
    private let announcements: [String: Counter]

    init() {
        announcements = Dictionary(
            uniqueKeysWithValues: ["changes", "heartbeat", "state", "request", "goodbye"].map {
                ($0, Counter(label: "apus_gateway_presence_announcements_total", dimensions: [("type", $0)]))
            })
    }

    /// Subscribers are told.
    func told(_ changes: [PresenceChange]) {
        let joined = changes.count { $0.kind == .joined }
        if joined > 0 { joins.increment(by: joined) }
        if joined < changes.count { leaves.increment(by: changes.count - joined) }
    }

    /// Clients whose connection had ended came back in time, or did not.
    func lingered(returned count: Int, gone others: Int) {
        if count > 0 { returned.increment(by: count) }
        if others > 0 { gone.increment(by: others) }
    }

    func expired(_ count: Int) { if count > 0 { expired.increment(by: count) } }
    func known(_ count: Int) { gateways.record(count) }
    func notAnnounced() { failures.increment() }

    func announced(_ announcement: PresenceAnnouncement) {
        let type =
            switch announcement {
            case .changes: "changes"
            case .heartbeat: "heartbeat"
            case .state: "state"
            case .request: "request"
            case .goodbye: "goodbye"
            }
        announcements[type]?.increment()
    }
}
