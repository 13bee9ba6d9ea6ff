internal import EventBus
internal import Events
internal import Synchronization

/// A place of a queue that a task holds, from its delivery until its work has ended: what is to be recorded of it then goes on
/// beside the next one.
final class Place: Sendable {
    private let queue: String
    private let places: Places
    private let finishing: Finishing
    private let isHeld = Mutex(true)

    /// - Parameter queue: one place of it has been taken.
    init(_ queue: String, places: Places, finishing: Finishing) {
        self.queue = queue
        self.places = places
        self.finishing = finishing
    }

    /// Lets others use the place while `operation` waits for something else.
    func lent<Value>(during operation: () async -> Value) async -> Value {
        places.giveBack(queue)
        let value = await operation()
        await places.takeBack(queue)
        return value
    }

    /// The work has ended after so long, and the next task may begin.
    func workEnded(after workTime: Duration) {
        guard isHeld.withLock({ $0 }) else { return }
        finishing.begin(workTime: workTime)
        isHeld.withLock { $0 = false }
        places.giveBack(queue)
    }

    /// Nothing is left to be done for the task. The last call.
    func leave() {
        if isHeld.withLock({ $0 }) { places.giveBack(queue) } else { finishing.end() }
    }
}

/// A queue's tasks whose work has ended and which are still to be recorded, and those in batches: not more than so many of each, so
/// that they cannot pile up while the bus is slow. Knows how long work takes, too.
final class Finishing: Sendable {
    private struct State {
        var count = 0
        var inBatches = 0
        var batchesAtWork = 0
        /// How long work takes, the last ones counting most; nil before the first has ended.
        var workTime: Duration?
    }

    /// Tasks that take less leave their places before others can be fetched for them.
    private static let quick = Duration.milliseconds(20)

    private let limit: Int
    private let limitInBatches: Int
    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation

    init(limit: Int, limitInBatches: Int) {
        self.limit = limit
        self.limitInBatches = limitInBatches
        (changes, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether places become free faster than tasks can be fetched one by one.
    var areTasksQuick: Bool { workTime.map { $0 < Finishing.quick } ?? false }

    /// How long work takes, the last ones counting most; nil before the first has ended.
    var workTime: Duration? { state.withLock { $0.workTime } }

    /// Returns when there is room for one more by itself and for a batch of so many, or the calling task is cancelled. For one
    /// caller.
    func untilRoom(forBatchOf size: Int) async {
        var iterator = changes.makeAsyncIterator()
        while state.withLock({ $0.count >= limit || $0.inBatches + size > limitInBatches }) {
            if await iterator.next() == nil { return }
        }
    }

    func begin(workTime: Duration) {
        note(workTime: workTime)
        state.withLock { $0.count += 1 }
    }

    /// So many are in hand from now on, and their work has not ended.
    func beginBatch(of count: Int) {
        state.withLock { state in
            state.inBatches += count
            state.batchesAtWork += 1
        }
    }

    /// How many more may be in batches.
    var roomInBatches: Int { state.withLock { max(0, limitInBatches - $0.inBatches) } }

    func batchIsClosed() { state.withLock { $0.batchesAtWork -= 1 } }

    /// How many batches give their places back in a moment.
    var batchesAtWork: Int { state.withLock { $0.batchesAtWork } }

    func note(workTime: Duration) {
        state.withLock { state in
            state.workTime = state.workTime.map { ($0 * 7 + workTime) / 8 } ?? workTime
        }
    }

    func end() {
        state.withLock { $0.count -= 1 }
        sink.yield()
    }

    func endInBatches(_ count: Int) {
        state.withLock { $0.inBatches -= count }
        sink.yield()
    }
}
