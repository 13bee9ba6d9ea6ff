internal import Metrics
internal import NotifierCore

/// What the notifier counts. Each event is counted once per delivery, under what became of it.
enum NotifierMetrics {
    enum EventOutcome: String {
        /// At least one rule handled it.
        case handled
        /// No rule is about it.
        case unmatched
        /// It went to the dead letters.
        case dead
        /// It is to be delivered again later.
        case postponed
    }

    static func count(_ outcome: EventOutcome) {
        Counter(label: "apus_notifier_events_total", dimensions: [("outcome", outcome.rawValue)]).increment()
    }

    static func count(_ outcome: NotificationDelivery.Outcome, type: String) {
        let name =
            switch outcome {
            case .published: "published"
            case .duplicate: "duplicate"
            case .muted: "muted"
            }
        Counter(label: "apus_notifier_notifications_total", dimensions: [("type", type), ("outcome", name)])
            .increment()
    }

    static func count(_ outcome: AlertState.Outcome, rule: String) {
        let name =
            switch outcome {
            case .stale: "stale"
            case .recorded: "recorded"
            case .fired: "fired"
            case .resolved: "resolved"
            }
        Counter(label: "apus_notifier_alerts_total", dimensions: [("rule", rule), ("outcome", name)]).increment()
    }

    static func countRetry() { Counter(label: "apus_notifier_retries_total").increment() }

    static func recordFiring(_ count: Int) { Gauge(label: "apus_notifier_alerts_firing").record(count) }
}
