/// Which of a worker's queues may begin how many tasks: places by queue, over all queues, and by the queues' priorities.
///
/// A queue of higher priority that has tasks waiting, as far as is known, and places of its own left keeps those below
/// it from beginning any. That matters only where the worker as a whole is limited: else every queue has its own places.
package struct PlaceTable: Sendable, Hashable {
    private struct Queue: Sendable, Hashable {
        var places: Int
        var priority: Int
        var taken = 0
        /// Tasks may be waiting: true until a look has found none.
        var mayHaveMore: Bool
    }

    /// Places over all queues; nil is as many as the queues have.
    private let total: Int?
    private var queues: [String: Queue]
    private var taken = 0

    /// - Parameter queues: places and priority of each.
    package init(total: Int?, queues: [String: (places: Int, priority: Int)]) {
        self.total = total
        let lowest = queues.values.map(\.priority).min() ?? 0
        let isRanked = total != nil
        self.queues = queues.mapValues {
            Queue(places: $0.places, priority: $0.priority, mayHaveMore: isRanked && $0.priority > lowest)
        }
    }

    /// Whether other queues wait for this one, so that it should be known soon that it has no more tasks.
    package func isAwaited(_ queue: String) -> Bool {
        guard total != nil, let own = queues[queue], own.mayHaveMore else { return false }
        return queues.values.contains { $0.priority < own.priority }
    }

    package func taken(_ queue: String) -> Int { queues[queue]?.taken ?? 0 }

    /// How many tasks of the queue may begin now.
    package func free(_ queue: String) -> Int {
        guard let own = queues[queue] else { return 0 }
        let free = own.places - own.taken
        guard let total else { return max(0, free) }
        let isOutranked = queues.values.contains {
            $0.priority > own.priority && $0.mayHaveMore && $0.taken < $0.places
        }
        return isOutranked ? 0 : max(0, min(free, total - taken))
    }

    /// - Returns: whether a place was free and is taken now.
    package mutating func take(_ queue: String) -> Bool {
        guard free(queue) > 0 else { return false }
        queues[queue]?.taken += 1
        taken += 1
        return true
    }

    package mutating func giveBack(_ queue: String) {
        guard let own = queues[queue], own.taken > 0 else { return }
        queues[queue]?.taken -= 1
        taken -= 1
    }

    package mutating func note(_ queue: String, mayHaveMore: Bool) { queues[queue]?.mayHaveMore = mayHaveMore }
}
