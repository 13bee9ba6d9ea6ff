internal import Synchronization

/// Counts the connections and the messages of each user, over all shards of this gateway.
///
/// The rate of a user who has no connection is kept until it has recovered: coming back must not be a way around it.
package final class UserRegistry: Sendable {
    private struct State {
        /// Users with connections.
        var connections: [String: Int] = [:]
        var rates: [String: TokenBucket] = [:]
        var sweptAt: Moment?
    }

    private let limits: GatewayLimits
    private let state = Mutex(State())

    /// How often rates that have recovered are forgotten.
    private static let sweepInterval = Duration.seconds(10)

    package init(limits: GatewayLimits) { self.limits = limits }

    /// - Returns: false if the user has as many connections as one may have.
    package func connect(_ user: String) -> Bool {
        state.withLock { state in
            let count = state.connections[user] ?? 0
            if let limit = limits.connectionsPerUser, count >= limit { return false }
            state.connections[user] = count + 1
            return true
        }
    }

    package func disconnect(_ user: String) {
        state.withLock { state in
            guard let count = state.connections[user] else { return }
            state.connections[user] = count > 1 ? count - 1 : nil
        }
    }

    /// Whether the user is connected to this gateway.
    package func isConnected(_ user: String) -> Bool { state.withLock { $0.connections[user] != nil } }

    /// How many users are connected to this gateway.
    package var count: Int { state.withLock { $0.connections.count } }

    /// Counts one message.
    /// - Returns: nil if the user may send it, otherwise in how many seconds.
    package func take(_ user: String, now: Moment) -> Int? {
        guard let perMinute = limits.userMessagesPerMinute else { return nil }
        return state.withLock { state in
            var rate =
                state.rates[user]
                ?? TokenBucket(perSecond: Double(perMinute) / 60, burst: Double(perMinute), now: now)
            let seconds = rate.take(now: now)
            state.rates[user] = rate
            return seconds
        }
    }

    /// Forgets the rates of users who may send as much as anybody. Called about once a second.
    package func sweep(now: Moment) {
        state.withLock { state in
            if let last = state.sweptAt, last.advanced(by: UserRegistry.sweepInterval) > now { return }
            state.sweptAt = now
            state.rates = state.rates.filter { !$0.value.isFull(now: now) }
        }
    }

    /// How many users' rates are kept, for tests.
    package var rateCount: Int { state.withLock { $0.rates.count } }
}
