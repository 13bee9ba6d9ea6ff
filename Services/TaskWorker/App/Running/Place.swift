internal import EventBus
internal import Events
internal import Synchronization

/// A place of a queue that a task holds, from its delivery until its work has ended: what is to be recorded of it then goes on
/// beside the next one.
final class Place: Sendable {
    private let queue: String
    private let places: Places
    private let finishing: Finishing
    private let clock: any BusClock
    private let start: Timestamp
    private let isHeld = Mutex(true)

    /// - Parameter queue: one place of it has been taken.
    init(_ queue: String, places: Places, finishing: Finishing, clock: any BusClock) {
        self.queue = queue
        self.places = places
        self.finishing = finishing
        self.clock = clock
        start = clock.now
    }

    /// Lets others use the place while `operation` waits for something else.
    func lent<Value>(during operation: () async -> Value) async -> Value {
        places.giveBack(queue)
        let value = await operation()
        await places.takeBack(queue)
        return value
    }

    /// The work has ended, and the next task may begin.
    func workEnded() {
        guard isHeld.withLock({ $0 }) else { return }
        finishing.begin(workTime: start.duration(to: clock.now))
        isHeld.withLock { $0 = false }
        places.giveBack(queue)
    }

    /// Nothing is left to be done for the task. The last call.
    func leave() {
        if isHeld.withLock({ $0 }) { places.giveBack(queue) } else { finishing.end() }
    }
}

/// A queue's tasks whose work has ended and which are still to be recorded: not more than so many, so that they cannot pile up
/// while the bus is slow. Knows how long work takes, too.
final class Finishing: Sendable {
    private struct State {
        var count = 0
        /// How long work takes, the last ones counting most; nil before the first has ended.
        var workTime: Duration?
    }

    /// Tasks that take less leave their places before others can be fetched for them.
    private static let quick = Duration.milliseconds(20)

    private let limit: Int
    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation

    init(limit: Int) {
        self.limit = limit
        (changes, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether places become free faster than tasks can be fetched one by one.
    var areTasksQuick: Bool { state.withLock { $0.workTime.map { $0 < Finishing.quick } ?? false } }

    /// Returns when there is room for one more, or the calling task is cancelled. For one caller.
    func untilRoom() async {
        var iterator = changes.makeAsyncIterator()
        while state.withLock({ $0.count >= limit }) {
            if await iterator.next() == nil { return }
        }
    }

    func begin(workTime: Duration) {
        state.withLock { state in
            state.count += 1
            state.workTime = state.workTime.map { ($0 * 7 + workTime) / 8 } ?? workTime
        }
    }

    func end() {
        state.withLock { $0.count -= 1 }
        sink.yield()
    }
}
