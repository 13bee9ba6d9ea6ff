internal import EventBus
internal import Events
internal import Synchronization

/// Starting, and looking in the stream for what may be missing.
extension HubChannel {
    /// The position is known: what was held and is newer is passed on, and from now on messages as they come.
    func started(epoch: String, last: UInt64, now: Timestamp) -> Consequence {
        let (consequence, waiters) = state.withLock { state -> (Consequence, [CheckedContinuation<Void, any Error>]) in
            guard state.phase == .starting else { return (.nothing, []) }
            begin(epoch: epoch, last: last, &state)
            deliver(.started, state)
            let consequence = release(&state, now)
            return (consequence, state.changeWaiting { $0.takeStarts() })
        }
        for waiter in waiters { waiter.resume() }
        return consequence
    }

    func startFailed(_ error: any Error) {
        let (waiters, subscription) = state.withLock { state in
            state.phase = .closed
            deliver(.startFailed, state)
            return (state.changeWaiting { $0.takeStarts() }, state.subscription.take())
        }
        subscription?.cancel()
        for waiter in waiters { waiter.resume(throwing: error) }
    }

    private func begin(epoch: String, last: UInt64, _ state: inout State) {
        state.epoch = epoch
        state.chain = ContinuityChain(last: last)
        state.recent = RecentMessages(base: last, maximumCount: history.map { $0.size + 1 } ?? 0)
        state.isLoaded = false
    }

    /// Passes on what was held; goes back to healing when there is another gap in it, or when the stream must be looked at
    /// once more.
    private func release(_ state: inout State, _ now: Timestamp) -> Consequence {
        let held = state.changeWaiting { waiting in
            defer { waiting.held = [] }
            return waiting.held
        }
        state.phase = .live
        for (index, message) in held.enumerated() {
            guard case .heal = pass(message, &state, now) else { continue }
            state.changeWaiting { $0.held = Array(held[index...]) }
            return .heal
        }
        guard state.mustLookAgain else { return .nothing }
        state.mustLookAgain = false
        guard history != nil else { return .nothing }
        state.phase = .healing
        return .heal
    }

    /// Begins to look for missing messages, for instance after the bus was away. One that has begun already may have
    /// looked too early: it will look once more.
    /// - Returns: whether the caller must heal it.
    func beginHealing() -> Bool {
        state.withLock { state in
            guard history != nil else { return false }
            switch state.phase {
            case .live:
                state.phase = .healing
                return true
            case .starting, .healing:
                state.mustLookAgain = true
                return false
            case .closed: return false
            }
        }
    }

    /// Waits for a look at the stream that begins after this call.
    /// - Returns: whether the caller must heal the channel, being the first.
    func joinHealing(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        enum Step {
            case wait(mustHeal: Bool)
            case fail
        }
        let step = state.withLock { state -> Step in
            switch state.phase {
            case .closed: return .fail
            case .live:
                state.phase = .healing
                state.changeWaiting { $0.heals.append(continuation) }
                return .wait(mustHeal: true)
            case .starting, .healing:
                // The look under way may have been too early.
                state.mustLookAgain = true
                state.changeWaiting { $0.heals.append(continuation) }
                return .wait(mustHeal: false)
            }
        }
        switch step {
        case .wait(let mustHeal): return mustHeal
        case .fail:
            continuation.resume(throwing: HubChannel.closedError)
            return false
        }
    }

    /// After which sequence messages must be read; nil if it no longer heals.
    var healingPosition: (epoch: String, last: UInt64)? {
        state.withLock { $0.phase == .healing ? ($0.epoch, $0.chain.last) : nil }
    }

    /// The stream cannot be read: those who wait for it are told, the channel goes on trying.
    func healingIsDelayed(_ error: any Error) {
        let waiters = state.withLock { state in state.changeWaiting { $0.takeHeals() } }
        for waiter in waiters { waiter.resume(throwing: error) }
    }

    /// Passes on messages that were read from the stream: all that the channel has up to `end`, which was the stream's last
    /// sequence before they were read. On a quiet channel that is where a client of another gateway may stand.
    func healed(_ messages: [StoredMessage], upTo end: UInt64, now: Timestamp) -> Consequence {
        finishHealing(now) { state in
            var isAnyInvalid = false
            for stored in messages where state.chain.read(sequence: stored.sequence) {
                let consequence = take(stored.message, stored.sequence, storedAt: stored.storedAt, &state)
                if case .countInvalid = consequence { isAnyInvalid = true }
            }
            _ = state.chain.read(sequence: end)
            return isAnyInvalid
        }
    }

    /// What is missing cannot be had any more: everybody begins anew at `last` of `epoch`.
    func interrupted(epoch: String, last: UInt64, now: Timestamp) -> Consequence {
        finishHealing(now) { state in
            begin(epoch: epoch, last: last, &state)
            state.generation &+= 1
            deliver(.interrupted(generation: state.generation), state)
            return false
        }
    }

    /// - Parameter change: returns whether a message was left out since it is not JSON.
    private func finishHealing(_ now: Timestamp, _ change: (inout State) -> Bool) -> Consequence {
        let (consequence, waiters) = state.withLock { state -> (Consequence, [CheckedContinuation<Void, any Error>]) in
            guard state.phase == .healing else { return (.nothing, []) }
            let isAnyInvalid = change(&state)
            let consequence = release(&state, now)
            // Whoever waits, waits for a look that began after it asked.
            guard state.phase == .live else { return (consequence, []) }
            let waiters = state.changeWaiting { $0.takeHeals() }
            if case .nothing = consequence, isAnyInvalid { return (.countInvalid, waiters) }
            return (consequence, waiters)
        }
        for waiter in waiters { waiter.resume() }
        return consequence
    }
}
