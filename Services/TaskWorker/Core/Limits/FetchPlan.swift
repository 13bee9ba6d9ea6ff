/// How many tasks of a queue are asked for at once: enough that no place waits for the bus, no more than are there, and no more
/// bytes than a worker should have in hand.
package struct FetchPlan: Sendable {
    /// How many bytes of messages are asked for at once, beyond what there are places for, if they are as large as the last ones.
    /// Where small ones are followed by large ones, one fetch may bring more.
    package static let maximumBytes = 4 << 20
    /// How many are fetched for places that will be free in a moment.
    package static let ahead = 16
    /// How many batches are fetched at once: the answer to a fetch waits behind all that was sent before it.
    package static let batches = 2

    /// How many waited when the last ones were fetched.
    private var waiting = 0
    /// How large the last ones were.
    private var bytesEach = 1

    package init() {}

    /// Tasks have been fetched.
    /// - Parameter waiting: how many the queue has beside them.
    package mutating func note(count: Int, bytes: Int, waiting: Int) {
        self.waiting = waiting
        if count > 0 { bytesEach = max(1, bytes / count) }
    }

    /// - Parameters:
    ///   - free: how many places are free.
    ///   - areTasksQuick: places become free faster than tasks can be fetched one by one.
    ///   - batchSize: of how many tasks a batch is to be; nil if none is.
    ///   - roomInBatches: how many more may be in batches.
    package func count(free: Int, areTasksQuick: Bool, batchSize: Int?, roomInBatches: Int) -> Int {
        // No more than are there: what is asked for beyond goes to this worker when it comes, whoever else is free then, and even
        // when this one has been stopped.
        let inBatches = batchSize.map { min($0 * FetchPlan.batches, waiting, roomInBatches) } ?? 0
        let wanted = max(free + (areTasksQuick ? FetchPlan.ahead : 0), inBatches)
        return max(free, 1, min(wanted, FetchPlan.maximumBytes / bytesEach))
    }
}
