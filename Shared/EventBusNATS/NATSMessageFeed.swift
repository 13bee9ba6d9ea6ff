package import EventBus
package import Logging
internal import NATSClient
package import Reactor
internal import Synchronization

/// Core messages by a connection of their own, on a reactor's thread: callbacks run there, and a message that comes alone
/// costs a third of what it costs by libnats, whose threads must be woken for it.
///
/// It reads only as fast as callbacks return. What is too much for them waits at the server, which in the end drops the
/// connection of a slow consumer: so what is lost shows as ``BusConnectionEvent/disconnected``, followed by `connected`.
///
/// What it cannot do is TLS. If it turns out that the server requires it, every subscription goes over to the bus, and so
/// does whatever comes after; those who listen hear of it as of any loss of the connection.
package final class NATSMessageFeed: MessageFeed {
    private enum Mode {
        case own(CoreConnection)
        /// The bus does everything. `moved` are the subscriptions that were made before.
        case bus(moved: [CoreSubscriptions.ID: any BusSubscription])
    }

    private struct State {
        var mode: Mode
        var listeners: [UInt64: AsyncStream<BusConnectionEvent>.Continuation] = [:]
        var lastListener: UInt64 = 0
        var isClosed = false
        var followers: [Task<Void, Never>] = []
    }

    private let bus: any MessageFeed
    private let logger: Logger
    private let state: Mutex<State>

    /// The feed for a configuration: one of its own, or the bus if that must do it.
    /// - Parameters:
    ///   - bus: what to use where a connection of this kind cannot be made.
    ///   - isAllowed: false takes the bus whatever the configuration says.
    package static func make(
        _ configuration: NATSConfiguration, bus: any MessageFeed, isAllowed: Bool = true, on reactor: Reactor,
        logger: Logger
    ) -> any MessageFeed {
        guard isAllowed else {
            logger.info("channel messages come by libnats, as configured")
            return bus
        }
        let options = NATSConnectionOptions(configuration)
        if let obstacle = CoreConnection.obstacle(to: options) {
            NATSMessageFeed.log(obstacle, to: logger)
            return bus
        }
        return NATSMessageFeed(options, bus: bus, on: reactor, logger: logger)
    }

    private init(_ options: NATSConnectionOptions, bus: any MessageFeed, on reactor: Reactor, logger: Logger) {
        self.bus = bus
        self.logger = logger
        let obstacles = AsyncStream.makeStream(of: CoreObstacle.self, bufferingPolicy: .bufferingNewest(1))
        let connection = CoreConnection(options, on: reactor) { obstacles.continuation.yield($0) }
        state = Mutex(State(mode: .own(connection)))
        let events = connection.events()
        own(Task { [weak self] in for await event in events { self?.happened(event) } })
        own(Task { [weak self] in for await obstacle in obstacles.stream { self?.moveToBus(obstacle) } })
    }

    deinit { close() }

    private func own(_ follower: Task<Void, Never>) { state.withLock { $0.followers.append(follower) } }

    private static func log(_ obstacle: CoreObstacle, to logger: Logger) {
        logger.notice(
            "channel messages come by libnats, which costs more for each: this connection cannot do what is asked for",
            metadata: ["reason": "\(obstacle)"])
    }

    // MARK: MessageFeed

    package func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        try subscribe(subject, queue, Receiver(subject, onMessage)) { bus throws(BusError) in
            try bus.subscribe(subject, queue: queue, onMessage: onMessage)
        }
    }

    package func subscribe(
        _ subject: String, _ receiver: any MessageReceiver
    ) throws(BusError) -> any BusSubscription {
        try subscribe(subject, nil, BareReceiver(receiver)) { bus throws(BusError) in
            try bus.subscribe(subject, receiver)
        }
    }

    private func subscribe(
        _ subject: String, _ queue: String?, _ receiver: any CoreReceiver,
        elsewhere: (any MessageFeed) throws(BusError) -> any BusSubscription
    ) throws(BusError) -> any BusSubscription {
        let made: Result<any BusSubscription, BusError> = state.withLock { state in
            Result { () throws(BusError) in
                switch state.mode {
                case .bus: return try elsewhere(bus)
                case .own(let connection):
                    let id = try translated { () throws(NATSError) in
                        try connection.subscribe(subject, queue: queue, receiver)
                    }
                    return Subscription(feed: self, id: id)
                }
            }
        }
        return try made.get()
    }

    private final class Receiver: CoreReceiver {
        let subject: String
        let onMessage: @Sendable (BusMessage) -> Void

        init(_ subject: String, _ onMessage: @escaping @Sendable (BusMessage) -> Void) {
            self.subject = subject
            self.onMessage = onMessage
        }

        func receive(_ message: CoreMessage) { onMessage(BusMessage(message, subject)) }
    }

    /// For those who know what they subscribed to: nothing but the message is looked at.
    private final class BareReceiver: CoreReceiver {
        let receiver: any MessageReceiver

        init(_ receiver: any MessageReceiver) { self.receiver = receiver }

        func receive(_ message: CoreMessage) { receiver.receive(BusMessage(message, nil)) }
        func fetch(_ step: Int) { receiver.fetch(step) }
    }

    /// Small enough to be kept without an allocation.
    private struct Subscription: BusSubscription {
        let feed: NATSMessageFeed
        let id: CoreSubscriptions.ID

        func cancel() { feed.cancel(id) }
    }

    private func cancel(_ id: CoreSubscriptions.ID) {
        let moved = state.withLock { state -> (any BusSubscription)? in
            switch state.mode {
            case .own(let connection):
                connection.cancel(id)
                return nil
            case .bus(var moved):
                let subscription = moved.removeValue(forKey: id)
                state.mode = .bus(moved: moved)
                return subscription
            }
        }
        moved?.cancel()
    }

    package func flush(timeout: Duration) async throws(BusError) {
        switch state.withLock({ $0.mode }) {
        case .bus: try await bus.flush(timeout: timeout)
        case .own(let connection):
            try await translated { () async throws(NATSError) in try await connection.flush(timeout: timeout) }
        }
    }

    package var isConnected: Bool {
        switch state.withLock({ $0.mode }) {
        case .bus: bus.isConnected
        case .own(let connection): connection.isConnected
        }
    }

    package func reconnect() {
        switch state.withLock({ $0.mode }) {
        case .bus: bus.reconnect()
        case .own(let connection): connection.reconnect()
        }
    }

    package func connectionEvents() -> AsyncStream<BusConnectionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: BusConnectionEvent.self, bufferingPolicy: .bufferingNewest(256))
        let number = state.withLock { state -> UInt64? in
            guard !state.isClosed else { return nil }
            state.lastListener += 1
            state.listeners[state.lastListener] = continuation
            return state.lastListener
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.listeners[number] = nil } }
        return stream
    }

    /// Ends the connection, and every subscription with it. The bus stays.
    package func close() {
        let (mode, followers, listeners) = state.withLock { state in
            state.isClosed = true
            defer {
                state.followers = []
                state.listeners = [:]
            }
            return (state.mode, state.followers, Array(state.listeners.values))
        }
        for follower in followers { follower.cancel() }
        switch mode {
        case .own(let connection): connection.close()
        case .bus(let moved): for subscription in moved.values { subscription.cancel() }
        }
        for listener in listeners {
            listener.yield(.closed)
            listener.finish()
        }
    }

    // MARK: What happens

    private func happened(_ event: NATSConnectionEvent) {
        switch event {
        case .connected: logger.info("connected to NATS for channel messages")
        case .disconnected: logger.warning("lost the connection to NATS for channel messages, trying again")
        case .lameDuck: logger.info("the NATS server for channel messages is about to leave")
        case .shutOut(let error):
            logger.error(
                "cannot connect to NATS for channel messages; trying again until it is mended",
                metadata: ["error": "\(error)", "advice": "\(NATSEventBus.advice(error))"])
        case .refused(let error):
            logger.warning("the NATS server for channel messages refused something", metadata: ["error": "\(error)"])
        case .slowConsumer, .closed: break
        }
        if let event = BusConnectionEvent(event), event != .closed { tell(event) }
    }

    private func tell(_ event: BusConnectionEvent) {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
    }

    private func move(_ old: CoreSubscriptions.Subscription) throws(BusError) -> (any BusSubscription)? {
        switch old.receiver {
        case let bare as BareReceiver: return try bus.subscribe(old.subject, bare.receiver)
        case let receiver as Receiver:
            return try bus.subscribe(old.subject, queue: old.queue, onMessage: receiver.onMessage)
        default: return nil
        }
    }

    /// The connection cannot be made: the bus takes every subscription over.
    private func moveToBus(_ obstacle: CoreObstacle) {
        NATSMessageFeed.log(obstacle, to: logger)
        // What the bus tells from before the move on may be about messages that came by none of both.
        let events = bus.connectionEvents()
        let failed = state.withLock { state -> [BusError] in
            guard case .own(let connection) = state.mode, !state.isClosed else { return [] }
            var failed: [BusError] = []
            var moved: [CoreSubscriptions.ID: any BusSubscription] = [:]
            for old in connection.takeSubscriptions() {
                do throws(BusError) {
                    moved[old.id] = try move(old)
                } catch {
                    failed.append(error)
                }
            }
            state.mode = .bus(moved: moved)
            return failed
        }
        for error in failed {
            logger.error("a subscription could not be made by libnats", metadata: ["error": "\(error)"])
        }
        own(Task { [weak self] in for await event in events { self?.tell(event) } })
        if bus.isConnected { tell(.connected) }
    }
}
