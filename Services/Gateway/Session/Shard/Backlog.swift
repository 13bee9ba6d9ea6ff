internal import DequeModule

/// What waits for a client that reads slowly, on a channel whose policy is to leave messages out rather than to
/// disconnect: the newest so many, and how many were left out before them.
///
/// Belongs to one subscription; few have one.
final class Backlog {
    private var dropped = 0
    private var messages: Deque<ChannelMessage> = []
    private let capacity: Int

    /// With `latest` one message waits, with `drop_oldest` so many.
    static let dropOldestCapacity = 64

    /// Nil for the policy that has no backlog.
    init?(policy: Namespace.SlowPolicy) {
        switch policy {
        case .disconnect: return nil
        case .latest: capacity = 1
        case .dropOldest: capacity = Backlog.dropOldestCapacity
        }
    }

    /// - Returns: whether another message had to go for it.
    func append(_ message: ChannelMessage) -> Bool {
        messages.append(message)
        guard messages.count > capacity else { return false }
        messages.removeFirst()
        dropped += 1
        return true
    }

    /// Removes the oldest message that waits, with how many were left out before it since the last one was taken.
    func next() -> (dropped: Int, message: ChannelMessage)? {
        guard let message = messages.popFirst() else { return nil }
        defer { dropped = 0 }
        return (dropped, message)
    }

    var isEmpty: Bool { messages.isEmpty }
}
