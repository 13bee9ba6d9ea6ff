internal import GatewaySession
internal import Identity
internal import Logging
internal import Metrics
internal import Synchronization

/// Counts tokens that are refused and says why in the log: at most once a second, since anybody can send any number of
/// them. Nothing of a token is written.
final class RefusedTokens: Sendable {
    private struct State {
        var second: Int64?
        var unsaid = 0
    }

    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let state = Mutex(State())
    private let refused = Counter(label: "apus_gateway_refused_tokens_total")

    init(logger: Logger, clock: @escaping @Sendable () -> Moment) {
        self.logger = logger
        self.clock = clock
    }

    func noting<Value>(_ verify: () throws(IdentityError) -> Value) throws(IdentityError) -> Value {
        do throws(IdentityError) {
            return try verify()
        } catch {
            note(error)
            throw error
        }
    }

    private func note(_ error: IdentityError) {
        refused.increment()
        let second = clock().milliseconds / 1000
        let unsaid: Int? = state.withLock { state in
            guard state.second != second else {
                state.unsaid += 1
                return nil
            }
            state.second = second
            defer { state.unsaid = 0 }
            return state.unsaid
        }
        guard let unsaid else { return }
        logger.notice(
            "a token was refused",
            metadata: ["reason": "\(error)", "unsaid": "\(unsaid)"])
    }
}
