internal import GatewaySession
internal import NIOCore
internal import Synchronization

/// Counts the open connections of the gateway, whatever they speak, against `gateway.limits.connections`.
final class ConnectionAdmission: Sendable {
    /// What becomes of a connection that has just been accepted.
    enum Verdict: Equatable {
        case serve
        /// It is told that it is one too many.
        case refuse
        /// There are so many too many that nothing is spent on it.
        case drop
    }

    private let maximum: Int?
    private let open = Atomic<Int>(0)
    private let metrics: GatewayMetrics

    /// How many connections beyond the limit are told so.
    static let courtesy = 256

    init(maximum: Int?, metrics: GatewayMetrics) {
        self.maximum = maximum
        self.metrics = metrics
    }

    /// Counts a connection until it is closed.
    func admit(_ channel: any Channel) -> Verdict {
        channel.closeFuture.whenComplete { _ in self.left() }
        return entered()
    }

    func entered() -> Verdict {
        let count = open.wrappingAdd(1, ordering: .relaxed).newValue
        guard let maximum, count > maximum else { return .serve }
        if count <= maximum + ConnectionAdmission.courtesy { return .refuse }
        metrics.limited(.connections)
        return .drop
    }

    func left() { open.wrappingSubtract(1, ordering: .relaxed) }

    func count(_ limit: GatewayLimit) { metrics.limited(limit) }
}
