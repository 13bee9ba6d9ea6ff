internal import Synchronization

/// Counts the connections and the messages of each user, over all shards of this gateway.
package final class UserRegistry: Sendable {
    private struct User {
        var connections = 0
        var rate: TokenBucket?
    }

    private let limits: GatewayLimits
    private let users = Mutex<[String: User]>([:])

    package init(limits: GatewayLimits) { self.limits = limits }

    /// - Returns: false if the user has as many connections as one may have.
    package func connect(_ user: String, now: Moment) -> Bool {
        users.withLock { users in
            var entry = users[user] ?? User()
            if let limit = limits.connectionsPerUser, entry.connections >= limit { return false }
            entry.connections += 1
            if entry.rate == nil, let perMinute = limits.userMessagesPerMinute {
                entry.rate = TokenBucket(perSecond: Double(perMinute) / 60, burst: Double(perMinute), now: now)
            }
            users[user] = entry
            return true
        }
    }

    package func disconnect(_ user: String) {
        users.withLock { users in
            guard var entry = users[user] else { return }
            entry.connections -= 1
            users[user] = entry.connections > 0 ? entry : nil
        }
    }

    /// Whether the user is connected to this gateway.
    package func isConnected(_ user: String) -> Bool { users.withLock { $0[user] != nil } }

    /// How many users are connected to this gateway.
    package var count: Int { users.withLock { $0.count } }

    /// Counts one message.
    /// - Returns: nil if the user may send it, otherwise in how many seconds.
    package func take(_ user: String, now: Moment) -> Int? {
        users.withLock { $0[user]?.rate?.take(now: now) }
    }
}
