internal import Synchronization

/// Channels that have just been subscribed and need to know where they begin.
///
/// They go in rounds: one question to the bus serves all that wait when it is asked. Whoever comes while a round is under way
/// waits for the next, since what is asked for it must be asked after its subscription was made.
final class ChannelStarts: Sendable {
    /// A channel that begins.
    struct Start: Sendable {
        let channel: HubChannel
        /// Whether it begins at its own last message and not at the end of its stream: then somebody who was there can be
        /// told from memory whether anything was missed. It costs a question of its own.
        let isExact: Bool
    }

    /// How long a round that others follow rests before they do, so that more of them go together. Nobody who comes alone
    /// waits for it.
    static let pause = Duration.milliseconds(2)

    private let waiting = Mutex<[Start]?>(nil)

    /// - Returns: whether the caller must see to it that rounds begin, being the first.
    func add(_ start: Start) -> Bool {
        waiting.withLock { waiting in
            if waiting == nil {
                waiting = [start]
                return true
            }
            waiting?.append(start)
            return false
        }
    }

    var isAnyWaiting: Bool { waiting.withLock { $0?.isEmpty == false } }

    /// Those of the next round; nil, and that is the end of it, if there are none.
    func nextRound() -> [Start]? {
        waiting.withLock { waiting in
            guard let round = waiting, !round.isEmpty else {
                waiting = nil
                return nil
            }
            waiting = []
            return round
        }
    }
}
