internal import GatewaySession
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
    /// Who waits for the last one to go.
    private let waiter = Mutex<AsyncStream<Void>.Continuation?>(nil)

    /// How many connections beyond the limit are told so.
    static let courtesy = 256

    init(maximum: Int?, metrics: GatewayMetrics) {
        self.maximum = maximum
        self.metrics = metrics
    }

    /// Counts a connection until ``left()``.
    func entered() -> Verdict {
        let count = open.wrappingAdd(1, ordering: .relaxed).newValue
        guard let maximum, count > maximum else { return .serve }
        if count <= maximum + ConnectionAdmission.courtesy { return .refuse }
        metrics.limited(.connections)
        return .drop
    }

    func left() {
        guard open.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0 else { return }
        waiter.withLock { _ = $0?.yield() }
    }

    func count(_ limit: GatewayLimit) { metrics.limited(limit) }

    /// Returns when no connection is open; at once when the task is cancelled. For one caller, when nobody enters any more.
    func whenEmpty() async {
        let (emptied, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        waiter.withLock { $0 = continuation }
        defer { waiter.withLock { $0 = nil } }
        if open.load(ordering: .sequentiallyConsistent) == 0 { return }
        for await _ in emptied where open.load(ordering: .sequentiallyConsistent) == 0 { return }
    }
}
