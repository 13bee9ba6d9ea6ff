internal import EventBus
package import Events
package import GatewayWire
internal import Synchronization

/// A channel that somebody connected to this gateway is on: its bus subscription, its continuity, its recent messages, and
/// the shards that want it.
///
/// Messages come on the feed's thread and go to the shards' inboxes under this channel's lock, so that every
/// shard sees them in the same order. What needs the bus is done by the hub, which is told so by a ``Consequence``.
package final class HubChannel: Sendable {
    // What every message needs comes first, so that it lies together.
    let hub: Hub
    package let name: ChannelName
    package let history: ChannelHistory?

    struct State {
        enum Phase {
            /// The bus subscription or the position is not there yet; messages are held.
            case starting
            /// Messages are passed on as they come.
            case live
            /// Messages may be missing and are being read from the stream; those that come are held.
            case healing
            /// Nobody wanted it any more; whoever still holds it must ask the hub again.
            case closed
        }

        var receivers = ReceiverList()
        /// Grows with each interruption: what was passed on before one is of another life than what comes after it.
        var generation: UInt32 = 0
        var phase = Phase.starting
        /// Whether a message has come by the subscription since the last audit, which proves that it lives.
        var isProven = false
        /// Whether, once the present start or healing is done, the stream must be looked at again.
        var mustLookAgain = false
        /// Whether `recent` has been filled from the stream.
        var isLoaded = false
        var chain = ContinuityChain(last: 0)
        var recent: RecentMessages
        var subscription: (any BusSubscription)?
        var epoch = ""
        /// What there is only while the channel starts, heals or loads; see ``HubChannel/Waiting``.
        private var aside = Aside<Waiting>()
        var idleSince: Moment?

        init(recent: RecentMessages) { self.recent = recent }
        mutating func changeWaiting<Value>(_ body: (inout Waiting) -> Value) -> Value {
            var waiting = aside.value ?? Waiting()
            aside.clear()
            let value = body(&waiting)
            if !waiting.isEmpty { aside.change(from: waiting) { _ in } }
            return value
        }
    }

    /// What waits for the bus.
    struct Waiting: Sendable {
        /// Messages that came by the subscription and are not passed on yet.
        var held: [BusMessage] = []
        var starts: [CheckedContinuation<Void, any Error>] = []
        var heals: [CheckedContinuation<Void, any Error>] = []
        var loads: [CheckedContinuation<HistorySnapshot, any Error>] = []

        mutating func takeStarts() -> [CheckedContinuation<Void, any Error>] {
            defer { starts = [] }
            return starts
        }

        mutating func takeHeals() -> [CheckedContinuation<Void, any Error>] {
            defer { heals = [] }
            return heals
        }

        mutating func takeLoads() -> [CheckedContinuation<HistorySnapshot, any Error>] {
            defer { loads = [] }
            return loads
        }

        var isEmpty: Bool { held.isEmpty && starts.isEmpty && heals.isEmpty && loads.isEmpty }
    }

    /// Where a subscription begins, and in which of the channel's lives.
    typealias Beginning = (position: StreamPosition, generation: UInt32)

    let state: Mutex<State>

    /// What must be done outside the lock, by the hub.
    enum Consequence {
        case nothing
        case heal
        case countInvalid
    }

    /// How many messages are held while the channel starts or heals; beyond it they are left to the stream.
    static let maximumHeld = 1024

    init(name: ChannelName, history: ChannelHistory?, hub: Hub) {
        self.hub = hub
        self.name = name
        self.history = history
        state = Mutex(State(recent: RecentMessages(base: 0, maximumCount: history.map { $0.size + 1 } ?? 0)))
    }
}

/// Whoever wants a channel, as the hub sees it: the channel as a shard has it. Called from any thread; must not block.
package protocol ChannelReceiver: AnyObject, Sendable {
    func receive(_ delivery: ChannelDelivery)
}

/// What the hub gives to those who want a channel, in order.
package enum ChannelDelivery: Sendable {
    /// The channel is live: where a subscription begins can be asked for. Comes to all who wanted the channel before it was.
    case started
    /// It will not be; who wants it must ask the hub again.
    case startFailed
    case message(ChannelMessage)
    /// Messages were lost for good, or the stream began a new life: who is subscribed since an earlier generation of the
    /// channel than this one must subscribe anew.
    case interrupted(generation: UInt32)
    /// Who came and left, in order.
    case presence([PresenceChange])
}

// MARK: - Interest

extension HubChannel {
    package var position: StreamPosition { state.withLock { $0.position } }

    /// Where a subscription that begins now begins, and in which of the channel's lives.
    var beginning: Beginning { state.withLock { ($0.position, $0.generation) } }

    /// Whether somebody is on it, or looks at it, now.
    var isWanted: Bool { state.withLock { !$0.receivers.isEmpty } }

    var isClosed: Bool { state.withLock { $0.phase == .closed } }

    enum Following {
        case live
        /// The receiver will be told how that ends.
        case starting
        /// It is not followed, and never will be.
        case closed
    }

    func follow(_ receiver: any ChannelReceiver) -> Following {
        state.withLock { state in
            if state.phase == .closed { return .closed }
            state.want(receiver)
            return state.phase == .starting ? .starting : .live
        }
    }

    /// The same for a channel whose position is known.
    /// - Returns: where a subscription begins; nil if the channel is not that far, or has been closed.
    func addIfStarted(_ receiver: any ChannelReceiver) -> Beginning? {
        state.withLock { state in
            guard state.phase == .live || state.phase == .healing else { return nil }
            state.want(receiver)
            return (state.position, state.generation)
        }
    }

    func remove(_ receiver: any ChannelReceiver, now: Moment) {
        state.withLock { state in
            state.receivers.remove(receiver)
            if state.receivers.isEmpty { state.idleSince = now }
        }
    }

    /// - Returns: whether it is closed now.
    func closeIfIdle(now: Moment, linger: Duration) -> Bool {
        let ended = state.withLock { state -> (isClosed: Bool, (any BusSubscription)?) in
            if state.phase == .closed { return (true, nil) }
            guard state.phase == .live, let since = state.idleSince, since.advanced(by: linger) <= now else {
                return (false, nil)
            }
            state.phase = .closed
            return (true, state.subscription.take())
        }
        ended.1?.cancel()
        return ended.isClosed
    }

    /// Takes a subscription into use in place of the present one.
    func own(_ subscription: any BusSubscription) {
        let useless = state.withLock { state -> (any BusSubscription)? in
            guard state.phase != .closed else { return subscription }
            defer { state.subscription = subscription }
            return state.subscription
        }
        useless?.cancel()
    }

    func waitUntilStarted() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let answer: Result<Void, any Error>? = state.withLock { state in
                switch state.phase {
                case .starting:
                    state.changeWaiting { $0.starts.append(continuation) }
                    return nil
                case .live, .healing: return .success(())
                case .closed: return .failure(HubChannel.closedError)
                }
            }
            if let answer { continuation.resume(with: answer) }
        }
    }

    static var closedError: BusError { BusError(.notConnected, "the channel could not be subscribed; try again") }
}

extension HubChannel.State {
    var position: StreamPosition { StreamPosition(epoch: epoch, offset: chain.last) }

    mutating func want(_ receiver: any ChannelReceiver) {
        receivers.insert(receiver)
        idleSince = nil
    }
}
