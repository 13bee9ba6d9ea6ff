internal import Synchronization

/// Counts the connections and the messages of each user, over all shards of this gateway.
///
/// The rate of a user who has no connection is kept until it has recovered: coming back must not be a way around it.
package final class UserRegistry: Sendable {
    private struct User {
        var rate = TokenBucket()
        var connections: UInt32 = 0
    }

    private struct State {
        var users: [String: User] = [:]
        /// How many of them have connections.
        var connected = 0
        var sweptAt: Moment?
    }

    private let limits: GatewayLimits
    private let rate: TokenRate?
    private let state = Mutex(State())

    /// How often rates that have recovered are forgotten.
    private static let sweepInterval = Duration.seconds(10)

    package init(limits: GatewayLimits) {
        self.limits = limits
        rate = limits.userMessagesPerMinute.map { TokenRate(perSecond: Double($0) / 60, burst: Double($0)) }
    }

    /// - Returns: false if the user has as many connections as one may have.
    package func connect(_ user: String) -> Bool {
        state.withLock { state in
            let count = state.users[user]?.connections ?? 0
            if let limit = limits.connectionsPerUser, count >= limit { return false }
            state.users[user, default: User()].connections = count + 1
            if count == 0 { state.connected += 1 }
            return true
        }
    }

    package func disconnect(_ user: String) {
        state.withLock { state in
            guard let entry = state.users[user], entry.connections > 0 else { return }
            if entry.connections == 1 { state.connected -= 1 }
            if entry.connections == 1, entry.rate == TokenBucket() {
                state.users[user] = nil
            } else {
                state.users[user]?.connections -= 1
            }
        }
    }

    /// Whether the user is connected to this gateway.
    package func isConnected(_ user: String) -> Bool {
        state.withLock { $0.users[user]?.connections ?? 0 > 0 }
    }

    /// How many users are connected to this gateway.
    package var count: Int { state.withLock { $0.connected } }

    /// Counts one message.
    /// - Returns: nil if the user may send it, otherwise in how many seconds.
    package func take(_ user: String, now: Moment) -> Int? {
        guard let rate else { return nil }
        return state.withLock { $0.users[user, default: User()].rate.take(rate, now: now) }
    }

    /// Forgets the rates of users who may send as much as anybody. Called about once a second.
    package func sweep(now: Moment) {
        state.withLock { state in
            if let last = state.sweptAt, last.advanced(by: UserRegistry.sweepInterval) > now { return }
            state.sweptAt = now
            for (user, entry) in state.users where entry.rate.isFull(now: now) {
                if entry.connections == 0 { state.users[user] = nil } else { state.users[user]?.rate = TokenBucket() }
            }
            state.users.giveBackRoom()
        }
    }

    /// How many users' rates are kept, for tests.
    package var rateCount: Int { state.withLock { $0.users.values.count { $0.rate != TokenBucket() } } }
}
