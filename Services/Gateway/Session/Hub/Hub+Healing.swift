internal import EventBus
package import Events
internal import GatewayWire
internal import Logging
internal import Metrics
internal import Synchronization

/// Reading from the stream what did not come by the bus, and what those who come back have missed.
extension Hub {
    /// How often the stream is looked at for one who comes back, where more is published all the time.
    private static let maximumLooks = 3

    /// Messages may be missing on every channel: the feed was away, or dropped some.
    func healAll() {
        for channel in channels.withLock({ Array($0.values) }) where channel.beginHealing() {
            later { [self] in await heal(channel) }
        }
    }

    /// Reads what is missing from the stream and passes it on, trying until it is done or nobody wants the channel.
    func heal(_ channel: HubChannel) async {
        heals.increment()
        var delay = Duration.milliseconds(50)
        while let position = channel.healingPosition, !Task.isCancelled {
            do {
                return carryOut(try await healOnce(channel, from: position), channel)
            } catch {
                channel.healingIsDelayed(error)
                logger.debug("healing a channel waits for the bus", metadata: ["channel": "\(channel.name)"])
                try? await Task.sleep(for: delay)
                delay = min(delay * 2, .seconds(2))
            }
        }
    }

    private func healOnce(
        _ channel: HubChannel, from position: (epoch: String, last: UInt64)
    ) async throws -> HubChannel.Consequence {
        let stream = subjects.historyStream(namespace: channel.name.namespace)
        let state = try await bus.streamState(stream)
        let reading = HistoryReading(channel.name, channel.history, bus: bus, subjects: subjects)
        guard state.epoch == position.epoch, let missing = try await reading.everything(after: position.last) else {
            interruptions.increment()
            return channel.interrupted(epoch: state.epoch, last: state.lastSequence, now: clock())
        }
        return channel.healed(missing, upTo: state.lastSequence, now: clock())
    }

    /// Returns when the channel has everything that the stream had at the time of this call.
    private func lookAgain(_ channel: HubChannel) async throws {
        try await withCheckedThrowingContinuation { continuation in
            if channel.joinHealing(continuation) { later { [self] in await heal(channel) } }
        }
    }

    // MARK: History

    /// Where a reader at `position` can go on, and what it missed.
    ///
    /// "Failed" is said only after a look at the stream: another gateway may have been faster than this one.
    package func recover(_ channel: HubChannel, from position: StreamPosition) async throws -> Recovery {
        var looks = 0
        while true {
            switch channel.recall(position, now: clock()) {
            case .answer(let recovery): return recovery
            case .load:
                let snapshot = try await load(channel)
                let recovery = snapshot.recovery(from: position, channel.history, now: clock())
                // What is behind the snapshot's position may be what has driven out the messages that are gone: said of that
                // position, they would seem to have been there.
                guard recovery.outcome == .failed, snapshot.isBehind, looks < Hub.maximumLooks else { return recovery }
            case .lookAgain:
                guard looks == 0 else {
                    let (position, generation) = channel.beginning
                    return Recovery(position: position, outcome: .failed, messages: [], generation: generation)
                }
            }
            looks += 1
            try await lookAgain(channel)
        }
    }

    /// The same, if memory can say it: nil if the stream must be asked.
    func recoverAtOnce(_ channel: HubChannel, from position: StreamPosition) -> Recovery? {
        if case .answer(let recovery) = channel.recall(position, now: clock()) { recovery } else { nil }
    }

    /// Wants a channel for a look at it, and none of its messages.
    private final class Visitor: ChannelReceiver {
        func receive(_ delivery: ChannelDelivery) {}
    }

    /// The same of a channel that need not be followed.
    /// - Throws: ``BusError`` when the bus does not answer.
    package func history(of name: ChannelName, clock: GatewayClock) async throws -> Recovery {
        let visitor = Visitor()
        defer { detach(name, visitor, now: clock.moment()) }
        return try await history(try await attach(name, visitor))
    }

    /// What the channel's history holds, oldest first, and the position behind it.
    package func history(_ channel: HubChannel) async throws -> Recovery {
        if let history = channel.everything(now: clock()) { return history }
        return try await load(channel).everything(channel.history, now: clock())
    }

    /// Reads the channel's history from the stream, once however many ask at the same time.
    private func load(_ channel: HubChannel) async throws -> HistorySnapshot {
        try await withCheckedThrowingContinuation { continuation in
            guard channel.joinLoad(continuation) else { return }
            later { [self] in
                do {
                    let stream = subjects.historyStream(namespace: channel.name.namespace)
                    let state = try await bus.streamState(stream)
                    let reading = HistoryReading(channel.name, channel.history, bus: bus, subjects: subjects)
                    channel.loaded(try await reading.newest(), epoch: state.epoch, firstSequence: state.firstSequence)
                } catch {
                    channel.loadFailed(error)
                }
            }
        }
    }
}
