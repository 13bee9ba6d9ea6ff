internal import EventBus
package import Events
package import GatewayWire
internal import Synchronization

/// The whole history of a channel as it was at one moment.
struct HistorySnapshot: Sendable {
    var position: StreamPosition
    var generation: UInt32
    var messages: RecentMessages
    /// Whether the stream had more than this: what was not passed on yet.
    var isBehind = false
}

/// Whether and with what a reader can go on from where it was.
package struct Recovery: Sendable {
    package var position: StreamPosition
    package var outcome: SubscribeResult.Recovery
    package var messages: [ChannelMessage]
    /// Of the channel's lives, the one that the position belongs to.
    package var generation: UInt32 = 0
}

extension HubChannel {
    /// What memory can say about a reader at a position.
    enum Recall {
        case answer(Recovery)
        /// The stream must be read first.
        case load
        /// The position is of another life of the stream, or beyond what this gateway has seen: another gateway may have
        /// been faster, so the stream must be looked at before anything is said.
        case lookAgain
    }

    func recall(_ position: StreamPosition, now: Timestamp) -> Recall {
        state.withLock { state in
            guard position.epoch == state.epoch, position.offset <= state.chain.last else { return .lookAgain }
            if let history { state.recent.expire(before: now.advanced(by: .zero - history.timeToLive)) }
            let snapshot = HistorySnapshot(
                position: state.position, generation: state.generation, messages: state.recent)
            if state.recent.after(position.offset) != nil || (state.isLoaded && !state.recent.isCutShort) {
                return .answer(snapshot.recovery(from: position, history, now: now))
            }
            return .load
        }
    }

    /// Everything that the history holds, and the position behind it; nil if the stream must be read first.
    func everything(now: Timestamp) -> Recovery? {
        state.withLock { state in
            guard state.isLoaded, !state.recent.isCutShort else { return nil }
            return HistorySnapshot(position: state.position, generation: state.generation, messages: state.recent)
                .everything(history, now: now)
        }
    }

    /// Waits for the history to be read.
    /// - Returns: whether the caller must read it, being the first.
    func joinLoad(_ continuation: CheckedContinuation<HistorySnapshot, any Error>) -> Bool {
        state.withLock { state in
            state.changeWaiting { waiting in
                waiting.loads.append(continuation)
                return waiting.loads.count == 1
            }
        }
    }

    /// Puts what was read from the stream under the messages that came since.
    func loaded(_ read: HistoryReading.Newest, epoch: String, firstSequence: UInt64) {
        let (snapshot, waiters) = state.withLock {
            state -> (HistorySnapshot?, [CheckedContinuation<HistorySnapshot, any Error>]) in
            let waiters = state.changeWaiting { $0.takeLoads() }
            // Read in another life of the stream than the one that is followed here; the next look will show it.
            guard epoch == state.epoch else { return (nil, waiters) }
            let messages = joined(read, firstSequence, state)
            state.recent = messages.cut(toBytes: RecentMessages.maximumBytes)
            state.isLoaded = true
            let snapshot = HistorySnapshot(
                position: state.position, generation: state.generation, messages: messages,
                isBehind: read.messages.last.map { $0.sequence > state.chain.last } ?? false)
            return (snapshot, waiters)
        }
        for waiter in waiters {
            if let snapshot {
                waiter.resume(returning: snapshot)
            } else {
                waiter.resume(throwing: BusError(.conflict, "the history has just been made anew; try again"))
            }
        }
    }

    private func joined(
        _ read: HistoryReading.Newest, _ firstSequence: UInt64, _ state: borrowing State
    ) -> RecentMessages {
        let limit = (history?.size ?? 0) + 1
        let (stored, isTrimmed) = (read.messages, read.mayBeTrimmed)
        // Where older ones may have gone only what follows the oldest is known to be whole. Otherwise everything since the
        // stream's first sequence is here.
        let oldest = stored.first.map { ChannelMessageReader.historyRemoval($0.message) ?? $0.sequence }
        let base = isTrimmed ? (oldest ?? 0) : (firstSequence == 0 ? 0 : firstSequence - 1)
        let newest = state.chain.last
        var recent = RecentMessages(base: min(base, newest), maximumCount: limit, maximumBytes: .max)
        // What is newer than the chain comes by the bus as well, in its turn.
        for message in isTrimmed ? stored.dropFirst() : stored[...] where message.sequence <= newest {
            if let removed = ChannelMessageReader.historyRemoval(message.message) {
                recent.forgetAll(upTo: removed)
            } else if let read = ChannelMessageReader.message(
                message.message, sequence: message.sequence, storedAt: message.storedAt, generation: state.generation)
            {
                recent.append(read)
            }
        }
        let have = max(recent.all.last?.sequence ?? 0, recent.base)
        for message in state.recent.all where message.sequence > have { recent.append(message) }
        return recent
    }

    func loadFailed(_ error: any Error) {
        let waiters = state.withLock { state in state.changeWaiting { $0.takeLoads() } }
        for waiter in waiters { waiter.resume(throwing: error) }
    }
}

extension HistorySnapshot {
    func recovery(from start: StreamPosition, _ history: ChannelHistory?, now: Timestamp) -> Recovery {
        guard start.epoch == position.epoch, start.offset <= position.offset,
            let missed = current(history, now).after(start.offset)
        else { return Recovery(position: position, outcome: .failed, messages: [], generation: generation) }
        return Recovery(position: position, outcome: .recovered, messages: missed, generation: generation)
    }

    func everything(_ history: ChannelHistory?, now: Timestamp) -> Recovery {
        let kept = current(history, now).all.suffix(history?.size ?? 0)
        return Recovery(position: position, outcome: .recovered, messages: Array(kept), generation: generation)
    }

    /// Without what has outlived the history's time to live.
    private func current(_ history: ChannelHistory?, _ now: Timestamp) -> RecentMessages {
        var messages = self.messages
        if let history { messages.expire(before: now.advanced(by: .zero - history.timeToLive)) }
        return messages
    }
}
