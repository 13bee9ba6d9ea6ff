internal import Metrics
internal import TLS

/// Counts how handshakes end. Every series is made at once, so that one that stays at zero can be seen to.
final class TLSHandshakeMetrics: Sendable {
    enum Outcome: Hashable, CaseIterable {
        case done
        /// A request without TLS.
        case plainHTTP
        /// It was not done in time.
        case timeout
        case failed(TLSFailure.Kind)

        static var allCases: [Outcome] {
            [.done, .plainHTTP, .timeout] + TLSFailure.Kind.allCases.map { .failed($0) }
        }

        var label: String {
            switch self {
            case .done: "done"
            case .plainHTTP: "plain_http"
            case .timeout: "timeout"
            case .failed(let kind): kind.rawValue
            }
        }
    }

    private let counters: [Outcome: Counter]

    init() {
        counters = Dictionary(
            uniqueKeysWithValues: Outcome.allCases.map { outcome in
                (outcome, Counter(label: "apus_gateway_tls_handshakes_total", dimensions: [("outcome", outcome.label)]))
            })
    }

    func count(_ outcome: Outcome) { counters[outcome]?.increment() }
}
