internal import EventBus
internal import JSON
internal import Metrics

/// How long services take to answer, by what came of it.
struct CallLatencies: Sendable {
    enum Outcome: String, CaseIterable {
        /// A result came.
        case answered
        /// An error came that the service wrote.
        case refused
        case timeout
        /// Nobody listens.
        case nobody
        /// An answer came that cannot be read.
        case unreadable
        /// The bus is away, or the request cannot be sent.
        case failed

        init(_ error: BusError) {
            switch error.code {
            case .timeout: self = .timeout
            case .noResponders: self = .nobody
            default: self = .failed
            }
        }

        init(reply: JSONValue) {
            self = reply["error"].map { !$0.isNull } ?? false ? .refused : .answered
        }
    }

    private let timers: [Outcome: Timer]

    /// - Parameter dimensions: besides `outcome`.
    init(label: String, dimensions: [(String, String)] = []) {
        timers = Dictionary(
            uniqueKeysWithValues: Outcome.allCases.map {
                ($0, Timer(label: label, dimensions: dimensions + [("outcome", $0.rawValue)]))
            })
    }

    func record(_ outcome: Outcome, since start: ContinuousClock.Instant) {
        timers[outcome]?.recordNanoseconds(Int64((ContinuousClock.now - start) / .nanoseconds(1)))
    }
}
