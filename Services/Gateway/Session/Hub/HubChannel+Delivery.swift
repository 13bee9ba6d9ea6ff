package import EventBus
internal import Events
internal import GatewayWire
internal import Prefetch
internal import Synchronization

/// Messages on their way from the bus to the shards.
extension HubChannel: MessageReceiver {
    /// Takes a message from the feed. Runs on the feed's thread.
    package func receive(_ message: BusMessage) {
        let consequence = received(message, now: hub.clock())
        if consequence != .nothing { hub.carryOut(consequence, self) }
    }

    package func fetch(_ step: Int) {
        if step == 1 { return Prefetch.object(self, lines: 3) }
        // Whoever holds the lock has more to do than this is worth waiting for.
        state.withLockIfAvailable { $0.receivers.fetch() }
    }

    private func received(_ message: BusMessage, now: Timestamp) -> Consequence {
        state.withLock { state in
            state.isProven = true
            switch state.phase {
            case .closed: return .nothing
            case .starting, .healing:
                let isHeld = state.changeWaiting { waiting in
                    guard waiting.held.count < HubChannel.maximumHeld else { return false }
                    waiting.held.append(message)
                    return true
                }
                if !isHeld { state.mustLookAgain = true }
                return .nothing
            case .live: return pass(message, &state, now)
            }
        }
    }

    /// Passes a message on, or finds that others are missing before it.
    func pass(_ message: BusMessage, _ state: inout State, _ now: Timestamp) -> Consequence {
        // Without a sequence it is not from the stream: its publisher wanted it to be seen and not kept.
        guard history != nil, let text = message.headers[HeaderName.sequence] else {
            guard
                let read = ChannelMessageReader.message(
                    message, sequence: nil, storedAt: now, generation: state.generation)
            else { return .countInvalid }
            deliverOvertaken(by: message, storedAt: now, state)
            deliver(.message(read), state)
            return .nothing
        }
        guard let sequence = UInt64(text) else { return .countInvalid }
        let previous = message.headers[HeaderName.lastSequence].flatMap { UInt64($0) } ?? 0
        switch state.chain.received(sequence: sequence, previous: previous) {
        case .ignore: return .nothing
        case .restarted:
            state.phase = .healing
            return .heal
        case .gap:
            state.phase = .healing
            state.changeWaiting { $0.held = [message] }
            return .heal
        case .deliver: return take(message, sequence, storedAt: now, &state)
        }
    }

    /// Gives the next message of the chain to everybody and keeps it for those who come back.
    func take(_ message: BusMessage, _ sequence: UInt64, storedAt: Timestamp, _ state: inout State) -> Consequence {
        if let removed = ChannelMessageReader.historyRemoval(message) {
            state.recent.forgetAll(upTo: removed)
            return .nothing
        }
        guard
            let read = ChannelMessageReader.message(
                message, sequence: sequence, storedAt: storedAt, generation: state.generation)
        else { return .countInvalid }
        state.recent.append(read)
        deliverOvertaken(by: message, storedAt: storedAt, state)
        deliver(.message(read), state)
        return .nothing
    }

    /// Gives what a message carries of what should have come before it. None has a position of its own: who continues from before
    /// gets the message alone, which is later than all of them.
    private func deliverOvertaken(by message: BusMessage, storedAt: Timestamp, _ state: borrowing State) {
        for read in ChannelMessageReader.overtaken(by: message, storedAt: storedAt, generation: state.generation) {
            deliver(.message(read), state)
        }
    }

    func deliver(_ delivery: ChannelDelivery, _ state: borrowing State) {
        state.receivers.deliver(delivery)
    }

    /// Gives something that is no message of the stream, such as a change of presence, to those who are here.
    func deliver(_ delivery: ChannelDelivery) {
        state.withLock { deliver(delivery, $0) }
    }
}
