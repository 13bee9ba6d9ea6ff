internal import Synchronization
internal import TaskWorkerCore

/// The tasks of a batch, by their numbers from 0, as its lanes take them one by one and bring back what came of them.
///
/// From time to time a round ends: what has been brought back since the last one is handed on, and what has been taken and not
/// brought back is of no use to the deck any more.
final class BatchDeck: Sendable {
    /// What a lane says of a task.
    enum Outcome: Sendable {
        case worked(AttemptOutcome)
        /// It was too late to begin, or not wanted any more.
        case notBegun
    }

    /// What there was when a round ended; each task is in one of them once.
    struct Round: Sendable {
        var ended: [(task: Int, outcome: Outcome)] = []
        /// Taken, and not brought back yet.
        var running: [Int] = []
        /// Not taken, and nobody takes them any more.
        var rest: Range<Int> = 0..<0
        /// Nothing is left.
        var isLast = false
    }

    private struct State {
        /// The next to be taken.
        var next = 0
        /// The first that was not part of a round.
        var open = 0
        var outcomes: [Outcome?]
        /// Not brought back, and not part of a round.
        var unfinished: Int
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

    func bringBack(_ task: Int, _ outcome: Outcome) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard task >= state.open else { return nil }
            state.outcomes[task] = outcome
            state.unfinished -= 1
            return state.unfinished == 0 ? state.waiter.take() : nil
        }
        waiter?.resume()
    }

    /// Returns when all have been brought back, or ``stopWaiting()`` was called in this round. For one caller.
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

    /// - Parameter givesUp: takes away all that nobody has taken.
    func endRound(givesUp: Bool) -> Round {
        state.withLock { state in
            var round = Round()
            round.ended.reserveCapacity(state.next - state.open)
            for task in state.open..<state.next {
                if let outcome = state.outcomes[task].take() {
                    round.ended.append((task, outcome))
                } else {
                    round.running.append(task)
                }
            }
            if givesUp {
                round.rest = state.next..<state.outcomes.count
                state.next = round.rest.upperBound
            }
            state.open = state.next
            state.unfinished -= round.running.count + round.rest.count
            state.isWaitedFor = true
            round.isLast = state.next == state.outcomes.count
            return round
        }
    }
}
