internal import Synchronization

/// One place of a batch: does the work of its tasks, one after the other, each in a task of Swift's that is shared as long as
/// nothing is cancelled.
final class BatchLane: Sendable {
    private struct State {
        /// The task whose work is being done.
        var current: Int?
        /// What does it has been cancelled, and can do nothing else.
        var isSpoilt = false
        var worker: Task<Bool, Never>?
    }

    private let state = Mutex(State())

    /// Works until the deck has nothing more.
    /// - Parameter work: does the work of one task.
    func run(_ deck: BatchDeck, _ work: @escaping @Sendable (BatchLane, Int) async -> BatchDeck.Outcome) async {
        var goesOn = true
        while goesOn {
            // Owned here, and always waited for; it does not run where this does.
            let worker = Task { await self.takeTurns(deck, work) }
            state.withLock { state in
                state.worker = worker
                // What was stopped before this was known could not cancel it.
                if state.isSpoilt { worker.cancel() }
            }
            goesOn = await worker.value
            state.withLock { $0 = State() }
        }
    }

    /// - Returns: whether there may be more, for another to do.
    private func takeTurns(
        _ deck: BatchDeck, _ work: @Sendable (BatchLane, Int) async -> BatchDeck.Outcome
    ) async -> Bool {
        while let task = deck.take() {
            state.withLock { $0.current = task }
            let outcome = await work(self, task)
            let isSpoilt = state.withLock { state in
                state.current = nil
                return state.isSpoilt
            }
            deck.bringBack(task, outcome)
            if isSpoilt { return true }
        }
        return false
    }

    /// Cancels the work of `task`, if that is what is being done.
    func stop(_ task: Int) {
        let worker = state.withLock { state -> Task<Bool, Never>? in
            guard state.current == task else { return nil }
            state.isSpoilt = true
            return state.worker
        }
        worker?.cancel()
    }
}
