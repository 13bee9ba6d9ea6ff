internal import Events
internal import GatewaySession
internal import Identity
internal import Logging
internal import Metrics
internal import Synchronization

/// Checks tokens for every door of the gateway, remembers those that are good, and counts.
///
/// Why a token is refused is said in the log at most once a second, since anybody can send any number of them. Nothing of
/// a token is written.
final class TokenChecks: Sendable {
    private struct State {
        var second: Int64?
        var unsaid = 0
    }

    private let memory: TokenMemory
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let state = Mutex(State())
    private let refused = Counter(label: "apus_gateway_refused_tokens_total")
    private let known = Counter(label: "apus_gateway_known_tokens_total")

    init(_ memory: TokenMemory, logger: Logger, clock: @escaping @Sendable () -> Moment) {
        self.memory = memory
        self.logger = logger
        self.clock = clock
    }

    func identity(of token: String, now: Timestamp) throws(IdentityError) -> Identity {
        try counting { () throws(IdentityError) in try memory.verify(token, now: now) }
    }

    func subscription(of token: String, now: Timestamp) throws(IdentityError) -> SubscriptionToken {
        try counting { () throws(IdentityError) in try memory.verifySubscription(token, now: now) }
    }

    private func counting<Bearer>(
        _ verify: () throws(IdentityError) -> (Bearer, isKnown: Bool)
    ) throws(IdentityError) -> Bearer {
        do throws(IdentityError) {
            let (bearer, isKnown) = try verify()
            if isKnown { known.increment() }
            return bearer
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
