internal import Events
internal import GatewaySession
internal import Synchronization

/// The keys of messages that were published on channels without history, where no stream compares them.
///
/// What one gateway was told: a backend that sends a message again to another gateway has it published again.
final class IdempotencyKeys: Sendable {
    private struct Key: Hashable {
        let channel: ChannelName
        let key: String
    }

    private struct State {
        var keys: Set<Key> = []
        /// Oldest first.
        var order: [(key: Key, at: Moment)] = []
        var first = 0
    }

    private let state = Mutex(State())

    /// As long as streams compare them.
    static let lifetime = Duration.seconds(120)
    static let maximumCount = 16_384

    /// - Returns: false if the key was taken already; otherwise it is now.
    func take(_ key: String, on channel: ChannelName, now: Moment) -> Bool {
        state.withLock { state in
            while state.first < state.order.count,
                state.order[state.first].at.advanced(by: Self.lifetime) <= now || state.keys.count >= Self.maximumCount
            {
                state.keys.remove(state.order[state.first].key)
                state.first += 1
            }
            if state.first > Self.maximumCount {
                state.order.removeFirst(state.first)
                state.first = 0
            }
            let entry = Key(channel: channel, key: key)
            guard state.keys.insert(entry).inserted else { return false }
            state.order.append((entry, now))
            return true
        }
    }

    /// The message was not published after all.
    func giveBack(_ key: String, on channel: ChannelName) {
        let entry = Key(channel: channel, key: key)
        state.withLock { state in
            state.keys.remove(entry)
            state.order = state.order[state.first...].filter { $0.key != entry }
            state.first = 0
        }
    }
}
