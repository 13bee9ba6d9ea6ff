internal import EventBus
package import Events
package import GatewayWire
internal import Synchronization

/// A channel that somebody connected to this gateway is on: its bus subscription, its continuity, its recent messages, and
/// the shards that want it.
///
/// Messages come on the bus's delivery thread and go to the shards' inboxes under this channel's lock, so that every
/// shard sees them in the same order.
package final class HubChannel: Sendable {
    package let name: ChannelName
    package let history: ChannelHistory?

    struct State {
        enum Phase {
            /// The bus subscription or the position is not there yet; messages are held.
            case starting
            /// Messages are passed on as they come.
            case live
            /// Messages are missing and being read from the stream; those that come are held.
            case healing
            /// Nobody wanted it any more; whoever still holds it must ask the hub again.
            case closed
        }

        var phase = Phase.starting
        var subscription: (any BusSubscription)?
        var epoch = ""
        var chain = ContinuityChain(last: 0)
        var held: [BusMessage] = []
        var recent: RecentMessages
        /// Whether `recent` has been filled from the stream.
        var isLoaded = false
        var shards: [any ChannelReceiver] = []
        var idleSince: Moment?
        var startWaiters: [CheckedContinuation<Void, any Error>] = []
        var loadWaiters: [CheckedContinuation<Void, any Error>] = []
    }

    let state: Mutex<State>

    /// How many messages are held while the channel starts or heals; beyond it they are left to the stream.
    static let maximumHeld = 1024

    init(name: ChannelName, history: ChannelHistory?) {
        self.name = name
        self.history = history
        state = Mutex(State(recent: RecentMessages(base: 0, maximumCount: history.map { $0.size + 1 } ?? 0)))
    }
}

// MARK: - Interest

extension HubChannel {
    package var position: StreamPosition {
        state.withLock { StreamPosition(epoch: $0.epoch, offset: $0.chain.last) }
    }

    /// Whether somebody is on it, or looks at it, now.
    var isWanted: Bool { state.withLock { !$0.shards.isEmpty } }

    var isClosed: Bool { state.withLock { $0.phase == .closed } }

    /// - Returns: false if the channel has been closed.
    func add(_ shard: any ChannelReceiver) -> Bool {
        state.withLock { state in
            guard state.phase != .closed else { return false }
            if !state.shards.contains(where: { $0 === shard }) { state.shards.append(shard) }
            state.idleSince = nil
            return true
        }
    }

    func remove(_ shard: any ChannelReceiver, now: Moment) {
        state.withLock { state in
            state.shards.removeAll { $0 === shard }
            if state.shards.isEmpty { state.idleSince = now }
        }
    }

    /// - Returns: whether it is closed now.
    func closeIfIdle(now: Moment, linger: Duration) -> Bool {
        let subscription: (any BusSubscription)?? = state.withLock { state in
            if state.phase == .closed { return .some(nil) }
            guard state.phase != .starting, let since = state.idleSince, since.advanced(by: linger) <= now else {
                return nil
            }
            state.phase = .closed
            return .some(state.subscription)
        }
        guard let subscription else { return false }
        subscription?.cancel()
        return true
    }

    func own(_ subscription: any BusSubscription) {
        state.withLock { $0.subscription = subscription }
    }

    func waitUntilStarted() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let answer: Result<Void, any Error>? = state.withLock { state in
                switch state.phase {
                case .starting:
                    state.startWaiters.append(continuation)
                    return nil
                case .live, .healing: return .success(())
                case .closed: return .failure(BusError(.notConnected, "the channel could not be subscribed; try again"))
                }
            }
            if let answer { continuation.resume(with: answer) }
        }
    }

    /// Waits for the history to be read.
    /// - Returns: whether the caller must read it, being the first.
    func joinLoad(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        state.withLock { state in
            state.loadWaiters.append(continuation)
            return state.loadWaiters.count == 1
        }
    }
}

/// A shard, as the hub sees it. Called from any thread; must not block.
package protocol ChannelReceiver: AnyObject, Sendable {
    func receive(_ delivery: ChannelDelivery)
}

/// What the hub gives to a shard, in order per channel.
package enum ChannelDelivery: Sendable {
    case message(ChannelMessage, on: ChannelName)
    /// Messages were lost for good, or the stream began a new life: who is subscribed must subscribe anew.
    case interrupted(ChannelName)
    /// Who came and left, in order.
    case presence([PresenceChange], on: ChannelName)
}

// MARK: - Messages from the bus

extension HubChannel {
    /// What the caller must do after a message.
    enum Consequence {
        case nothing
        case heal
        case countInvalid
    }

    /// Takes a message from the bus. Runs on the bus's delivery thread.
    func receive(_ message: BusMessage, now: Timestamp) -> Consequence {
        state.withLock { state in
            switch state.phase {
            case .closed: return .nothing
            case .starting, .healing:
                if state.held.count < HubChannel.maximumHeld { state.held.append(message) }
                return .nothing
            case .live: return pass(message, &state, now)
            }
        }
    }

    /// Passes a message on, or finds that others are missing before it.
    private func pass(_ message: BusMessage, _ state: inout State, _ now: Timestamp) -> Consequence {
        guard history != nil else {
            guard let read = ChannelMessageReader.message(message, sequence: nil, storedAt: now) else {
                return .countInvalid
            }
            deliver(.message(read, on: name), state)
            return .nothing
        }
        guard let text = message.headers[HeaderName.sequence] else {
            // Not from the stream: a message that its publisher wanted to be seen and not kept.
            guard let read = ChannelMessageReader.message(message, sequence: nil, storedAt: now) else {
                return .countInvalid
            }
            deliver(.message(read, on: name), state)
            return .nothing
        }
        guard let sequence = UInt64(text) else { return .countInvalid }
        let previous = message.headers[HeaderName.lastSequence].flatMap { UInt64($0) } ?? 0
        switch state.chain.received(sequence: sequence, previous: previous) {
        case .ignore: return .nothing
        case .gap:
            state.phase = .healing
            state.held = [message]
            return .heal
        case .deliver:
            if let base = ChannelMessageReader.beginning(message) {
                state.recent = RecentMessages(base: base, maximumCount: history.map { $0.size + 1 } ?? 0)
                return .nothing
            }
            guard let read = ChannelMessageReader.message(message, sequence: sequence, storedAt: now) else {
                return .countInvalid
            }
            state.recent.append(read)
            deliver(.message(read, on: name), state)
            return .nothing
        }
    }

    private func deliver(_ delivery: ChannelDelivery, _ state: borrowing State) {
        for shard in state.shards { shard.receive(delivery) }
    }

    /// Gives something that is no message of the stream, such as a change of presence, to those who are here.
    func deliver(_ delivery: ChannelDelivery) {
        state.withLock { deliver(delivery, $0) }
    }
}

// MARK: - Starting and healing

extension HubChannel {
    /// The position is known: what was held and is newer is passed on, and from now on messages as they come.
    func started(epoch: String, last: UInt64, now: Timestamp) -> Consequence {
        let (consequence, waiters) = state.withLock { state -> (Consequence, [CheckedContinuation<Void, any Error>]) in
            guard state.phase == .starting else { return (.nothing, []) }
            state.epoch = epoch
            state.chain = ContinuityChain(last: last)
            state.recent = RecentMessages(base: last, maximumCount: history.map { $0.size + 1 } ?? 0)
            let consequence = release(&state, now)
            defer { state.startWaiters = [] }
            return (consequence, state.startWaiters)
        }
        for waiter in waiters { waiter.resume() }
        return consequence
    }

    func startFailed(_ error: any Error) {
        let (waiters, subscription) = state.withLock { state in
            state.phase = .closed
            defer { state.startWaiters = [] }
            return (state.startWaiters, state.subscription)
        }
        subscription?.cancel()
        for waiter in waiters { waiter.resume(throwing: error) }
    }

    /// Passes on what was held; goes back to healing when there is another gap in it.
    private func release(_ state: inout State, _ now: Timestamp) -> Consequence {
        let overflowed = state.held.count >= HubChannel.maximumHeld
        let held = state.held
        state.held = []
        state.phase = .live
        for (index, message) in held.enumerated() {
            guard case .heal = pass(message, &state, now) else { continue }
            state.held = Array(held[index...])
            return .heal
        }
        // Beyond the bound some were not held; the stream has them.
        if overflowed, history != nil {
            state.phase = .healing
            return .heal
        }
        return .nothing
    }

    /// Begins to look for missing messages, for instance after the bus was away.
    /// - Returns: whether it was live until now, so that the caller must heal it.
    func beginHealing() -> Bool {
        state.withLock { state in
            guard state.phase == .live, history != nil else { return false }
            state.phase = .healing
            return true
        }
    }

    /// After which sequence messages must be read; nil if it no longer heals.
    var healingPosition: (epoch: String, last: UInt64)? {
        state.withLock { $0.phase == .healing ? ($0.epoch, $0.chain.last) : nil }
    }

    /// Passes on messages that were read from the stream.
    func healed(_ messages: [StoredMessage], now: Timestamp) -> Consequence {
        state.withLock { state in
            guard state.phase == .healing else { return .nothing }
            var invalid = false
            for stored in messages where state.chain.read(sequence: stored.sequence) {
                if let base = ChannelMessageReader.beginning(stored.message) {
                    state.recent = RecentMessages(base: base, maximumCount: history.map { $0.size + 1 } ?? 0)
                    continue
                }
                guard
                    let read = ChannelMessageReader.message(
                        stored.message, sequence: stored.sequence, storedAt: stored.storedAt)
                else {
                    invalid = true
                    continue
                }
                state.recent.append(read)
                deliver(.message(read, on: name), state)
            }
            let consequence = release(&state, now)
            if case .nothing = consequence, invalid { return .countInvalid }
            return consequence
        }
    }

    /// What is missing cannot be had any more: everybody begins anew at `last` of `epoch`.
    func interrupted(epoch: String, last: UInt64, now: Timestamp) -> Consequence {
        state.withLock { state in
            guard state.phase == .healing else { return .nothing }
            state.epoch = epoch
            state.chain = ContinuityChain(last: last)
            state.recent = RecentMessages(base: last, maximumCount: history.map { $0.size + 1 } ?? 0)
            state.isLoaded = false
            deliver(.interrupted(name), state)
            return release(&state, now)
        }
    }
}

// MARK: - History

extension HubChannel {
    /// Answers from memory where a reader at `position` can go on; nil if the stream must be read first.
    func recovery(from position: StreamPosition, now: Timestamp) -> Recovery? {
        state.withLock { state in
            let top = StreamPosition(epoch: state.epoch, offset: state.chain.last)
            guard position.epoch == state.epoch, position.offset <= top.offset else {
                return Recovery(position: top, outcome: .failed, messages: [])
            }
            if let history { state.recent.expire(before: now.advanced(by: .zero - history.timeToLive)) }
            if let messages = state.recent.after(position.offset) {
                return Recovery(position: top, outcome: .recovered, messages: messages)
            }
            return state.isLoaded ? Recovery(position: top, outcome: .failed, messages: []) : nil
        }
    }

    /// Everything that the history holds, and the position behind it; nil if the stream must be read first.
    func everything(now: Timestamp) -> Recovery? {
        state.withLock { state in
            guard state.isLoaded else { return nil }
            if let history { state.recent.expire(before: now.advanced(by: .zero - history.timeToLive)) }
            let top = StreamPosition(epoch: state.epoch, offset: state.chain.last)
            let kept = state.recent.all.suffix(history?.size ?? 0)
            return Recovery(position: top, outcome: .recovered, messages: Array(kept))
        }
    }

    /// Puts what was read from the stream under the messages that came since.
    func loaded(_ stored: [StoredMessage], firstSequence: UInt64) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
            let limit = (history?.size ?? 0) + 1
            // A stream that holds as many as it keeps of a channel may have trimmed older ones: then only what follows the
            // oldest is known to be whole. Otherwise everything since the stream's first sequence is here.
            let isTrimmed = stored.count >= limit
            var base = isTrimmed ? (stored.first?.sequence ?? 0) : (firstSequence == 0 ? 0 : firstSequence - 1)
            var kept = isTrimmed ? stored.dropFirst() : stored[...]
            // Where the history was removed, it begins.
            if let index = stored.lastIndex(where: { ChannelMessageReader.beginning($0.message) != nil }) {
                base = ChannelMessageReader.beginning(stored[index].message) ?? base
                kept = stored[(index + 1)...]
            }
            let newest = state.chain.last
            let newer = state.recent.all
            var recent = RecentMessages(base: min(base, newest), maximumCount: limit)
            // What is newer than the chain comes by the bus as well, in its turn.
            for message in kept where message.sequence <= newest {
                guard
                    let read = ChannelMessageReader.message(
                        message.message, sequence: message.sequence, storedAt: message.storedAt)
                else { continue }
                recent.append(read)
            }
            let have = recent.all.last?.sequence ?? 0
            for message in newer where message.sequence > have { recent.append(message) }
            state.recent = recent
            state.isLoaded = true
            defer { state.loadWaiters = [] }
            return state.loadWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func loadFailed(_ error: any Error) {
        let waiters = state.withLock { state in
            defer { state.loadWaiters = [] }
            return state.loadWaiters
        }
        for waiter in waiters { waiter.resume(throwing: error) }
    }
}

/// Whether and with what a reader can go on from where it was.
package struct Recovery: Sendable {
    package var position: StreamPosition
    package var outcome: SubscribeResult.Recovery
    package var messages: [ChannelMessage]
}
