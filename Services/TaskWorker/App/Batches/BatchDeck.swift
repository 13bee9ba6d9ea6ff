internal import Synchronization
internal import TaskWorkerCore

/// The tasks of a batch, by their numbers from 0, as its lanes take them one by one and bring back what came of them.
///
/// Once it is closed, what is brought back is of no use to it any more; what is left can still be taken.
final class BatchDeck: Sendable {
    /// What was there when the deck was closed.
    struct Closing: Sendable {
        var ended: [(task: Int, outcome: AttemptOutcome)] = []
        /// Taken, and not brought back yet.
        var running: [Int] = []
        /// Not taken.
        var waiting: Range<Int> = 0..<0
    }

    private struct State {
        /// The next to be taken.
        var next = 0
        var outcomes: [AttemptOutcome?]
        var unfinished: Int
        var isClosed = false
        var isWaitedFor = true
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(count: Int) {
        state = Mutex(State(outcomes: Array(repeating: nil, count: count), unfinished: count))
    }

    /// The next task; nil if there is none left.
    func take() -> Int? {
        state.withLock { state in
            guard state.next < state.outcomes.count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    /// How many have been taken.
    var taken: Int { state.withLock { $0.next } }

    func bringBack(_ task: Int, _ outcome: AttemptOutcome) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isClosed else { return nil }
            state.outcomes[task] = outcome
            state.unfinished -= 1
            return state.unfinished == 0 ? state.waiter.take() : nil
        }
        waiter?.resume()
    }

    /// Returns when all have been brought back, or ``stopWaiting()`` was called. For one caller.
    func untilDone() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                guard state.unfinished > 0, state.isWaitedFor else { return true }
                state.waiter = continuation
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    func stopWaiting() {
        let waiter = state.withLock { state in
            state.isWaitedFor = false
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Takes all that nobody has taken.
    func takeRest() -> Range<Int> {
        state.withLock { state in
            defer { state.next = state.outcomes.count }
            return state.next..<state.outcomes.count
        }
    }

    func close() -> Closing {
        state.withLock { state in
            state.isClosed = true
            var closing = Closing(waiting: state.next..<state.outcomes.count)
            closing.ended.reserveCapacity(state.next)
            for task in 0..<state.next {
                if let outcome = state.outcomes[task] {
                    closing.ended.append((task, outcome))
                } else {
                    closing.running.append(task)
                }
            }
            return closing
        }
    }
}
