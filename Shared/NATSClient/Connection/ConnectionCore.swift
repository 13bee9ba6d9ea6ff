internal import CNats
internal import Dispatch
internal import Synchronization

/// What the threads of libnats and the callers of a connection share: its state, its subscriptions, who waits for what.
///
/// Everything is decided under one lock and done after it is released.
final class ConnectionCore: Sendable {
    typealias Completion = @Sendable (Result<NATSMessage, NATSError>) -> Void

    let options: NATSConnectionOptions
    /// The beginning of every subject on which this connection expects answers. Nobody else knows it.
    let inbox: String
    private let replyPrefix: String
    private let state = Mutex(State())
    private let timer = Mutex<DeadlineTimer?>(nil)

    private enum Phase {
        /// No server can be reached now; libnats tries.
        case disconnected
        case connected
        /// The owner is closing it; nothing new is accepted.
        case closing
        case closed
    }

    private struct State {
        var phase = Phase.disconnected
        var handle: ConnectionHandle?
        var requests = RequestTable<Completion>()
        var armedDeadline: ContinuousClock.Instant?
        var subscriptions: [ObjectIdentifier: NATSSubscription] = [:]
        /// By libnats's address.
        var subscriptionsByAddress: [UInt: NATSSubscription] = [:]
        var listeners: [UInt64: AsyncStream<NATSConnectionEvent>.Continuation] = [:]
        var lastListener: UInt64 = 0
        var whenClosed: [@Sendable () -> Void] = []
    }

    init(options: NATSConnectionOptions, inboxToken: String) {
        self.options = options
        inbox = "_INBOX.\(inboxToken)"
        replyPrefix = "\(inbox).r."
    }

    /// Begins to connect. The timer refers to this object, so it cannot be made in `init`.
    func open() throws(NATSError) {
        timer.withLock { $0 = DeadlineTimer { [weak self] in self?.expireRequests() } }
        let handle = try ConnectionHandle.open(options, core: self)
        state.withLock { $0.handle = handle }
        _ = try subscribe("\(replyPrefix)*", queue: nil) { [weak self] in self?.answered($0) }
    }

    // MARK: Connection

    var isConnected: Bool { state.withLock { $0.phase == .connected } }

    /// libnats's connection for one call.
    func handle() throws(NATSError) -> ConnectionHandle {
        let handle: ConnectionHandle? = state.withLock {
            switch $0.phase {
            case .connected, .disconnected: $0.handle
            case .closing, .closed: nil
            }
        }
        guard let handle else { throw .closed }
        return handle
    }

    func connected() {
        let isNews = state.withLock { state in
            guard state.phase == .disconnected else { return false }
            state.phase = .connected
            return true
        }
        if isNews { emit(.connected) }
    }

    /// An answer to what was sent before cannot be expected any more, so nobody goes on waiting for one.
    func disconnected() {
        let (isNews, orphans) = state.withLock { state in
            guard state.phase == .connected else { return (false, [Completion]()) }
            state.phase = .disconnected
            return (true, state.requests.removeAll())
        }
        for orphan in orphans { orphan(.failure(.notConnected)) }
        if isNews { emit(.disconnected) }
    }

    /// The end of libnats's connection.
    func closed(lastError: NATSError?) {
        let (isExpected, orphans, subscriptions, waiting) = state.withLock { state in
            let isExpected = state.phase == .closing
            state.phase = .closed
            state.handle = nil
            state.subscriptionsByAddress = [:]
            let subscriptions = state.subscriptions.values
            state.subscriptions = [:]
            let waiting = state.whenClosed
            state.whenClosed = []
            return (isExpected, state.requests.removeAll(), Array(subscriptions), waiting)
        }
        for orphan in orphans { orphan(.failure(.closed)) }
        for subscription in subscriptions { subscription.cancel() }
        emit(.closed(unexpectedly: isExpected ? nil : lastError ?? NATSError(.failed, "the connection ended")))
        let listeners = state.withLock { state in
            let listeners = Array(state.listeners.values)
            state.listeners = [:]
            return listeners
        }
        for listener in listeners { listener.finish() }
        timer.withLock { $0 = nil }
        for action in waiting { action() }
    }

    /// Begins to close: delivers what is buffered, for at most `timeout`. Calls `action` when all is over.
    func close(timeout: Duration, then action: @escaping @Sendable () -> Void) {
        let (begins, wasConnected, handle, orphans) = state.withLock { state in
            guard state.phase != .closed else { return (false, false, ConnectionHandle?.none, [Completion]()) }
            state.whenClosed.append(action)
            guard state.phase != .closing else { return (true, false, nil, []) }
            let wasConnected = state.phase == .connected
            state.phase = .closing
            return (true, wasConnected, state.handle, state.requests.removeAll())
        }
        guard begins else { return action() }
        for orphan in orphans { orphan(.failure(.closed)) }
        guard let handle else { return }
        DispatchQueue(label: "nats.close").async { [self] in
            let isDraining =
                wasConnected && timeout > .zero
                && natsConnection_DrainTimeout(handle.pointer, timeout.wholeMilliseconds) == NATS_OK
            if isDraining {
                let closed = DispatchSemaphore(value: 0)
                whenClosed { closed.signal() }
                // A little longer than libnats waits itself.
                let limit = Int(clamping: timeout.wholeMilliseconds &+ 500)
                if closed.wait(timeout: .now() + .milliseconds(limit)) == .success { return }
            }
            natsConnection_Close(handle.pointer)
        }
    }

    private func whenClosed(_ action: @escaping @Sendable () -> Void) {
        let isClosed = state.withLock { state in
            guard state.phase != .closed else { return true }
            state.whenClosed.append(action)
            return false
        }
        if isClosed { action() }
    }

    // MARK: Events

    func events() -> AsyncStream<NATSConnectionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: NATSConnectionEvent.self, bufferingPolicy: .bufferingNewest(256))
        let number: UInt64? = state.withLock { state in
            guard state.phase != .closed else { return nil }
            state.lastListener += 1
            state.listeners[state.lastListener] = continuation
            return state.lastListener
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.listeners[number] = nil }
        }
        return stream
    }

    func emit(_ event: NATSConnectionEvent) {
        let listeners = state.withLock { Array($0.listeners.values) }
        for listener in listeners { listener.yield(event) }
    }

    // MARK: Subscriptions

    func subscribe(
        _ subject: String, queue: String?, deliver: @escaping @Sendable (NATSMessage) -> Void
    ) throws(NATSError) -> NATSSubscription {
        let subscription = NATSSubscription(subject: subject, queue: queue, deliver: deliver) {
            [weak self] subject, count in self?.emit(.slowConsumer(subject: subject, dropped: count))
        }
        let connection = try handle()
        let address = try subscription.attach(
            to: connection.pointer, pendingMessages: options.pendingMessages, pendingBytes: options.pendingBytes)
        let isOpen = state.withLock { state in
            guard state.phase != .closed else { return false }
            state.subscriptions[ObjectIdentifier(subscription)] = subscription
            if let address { state.subscriptionsByAddress[address] = subscription }
            return true
        }
        guard isOpen else {
            subscription.cancel()
            throw .closed
        }
        subscription.whenEnded { [weak self, weak subscription] in
            guard let self, let subscription else { return }
            self.state.withLock { state in
                state.subscriptions[ObjectIdentifier(subscription)] = nil
                if let address { state.subscriptionsByAddress[address] = nil }
            }
        }
        return subscription
    }

    func overflowed(_ handle: OpaquePointer) {
        let address = UInt(bitPattern: handle)
        state.withLock { $0.subscriptionsByAddress[address] }?.overflowed(handle)
    }

    // MARK: Requests

    /// Makes room for one answer.
    func reserveRequest() throws(NATSError) -> UInt64 {
        let reserved: Result<UInt64, NATSError> = state.withLock {
            switch $0.phase {
            case .connected: .success($0.requests.reserve())
            case .disconnected: .failure(.notConnected)
            case .closing, .closed: .failure(.closed)
            }
        }
        return try reserved.get()
    }

    /// Where the answer to a request goes.
    func replySubject(_ token: UInt64) -> String { "\(replyPrefix)\(token)" }

    /// Calls `completion` once: with the answer, or with the error that ends the waiting.
    func wait(_ token: UInt64, until deadline: ContinuousClock.Instant, _ completion: @escaping Completion) {
        let (isWaiting, mustArm) = state.withLock { state in
            guard state.requests.wait(token, completion, until: deadline) else { return (false, false) }
            guard state.armedDeadline.map({ deadline < $0 }) ?? true else { return (true, false) }
            state.armedDeadline = deadline
            return (true, true)
        }
        guard isWaiting else { return completion(.failure(.cancelled)) }
        if mustArm { timer.withLock { $0?.set(deadline) } }
    }

    func complete(_ token: UInt64, _ result: Result<NATSMessage, NATSError>) {
        state.withLock { $0.requests.remove(token) }?(result)
    }

    func cancel(_ token: UInt64) {
        state.withLock { $0.requests.abandon(token) }?(.failure(.cancelled))
    }

    /// Ends a request whose answer came another way.
    func forget(_ token: UInt64) {
        _ = state.withLock { $0.requests.remove(token) }
    }

    private func answered(_ message: NATSMessage) {
        guard let token = UInt64(message.subject.dropFirst(replyPrefix.count)) else { return }
        if message.status == 503 {
            complete(token, .failure(NATSError(.noResponders, "nobody answers requests on this subject")))
        } else {
            complete(token, .success(message))
        }
    }

    private func expireRequests() {
        let now = ContinuousClock.now
        let (expired, next) = state.withLock { state in
            let expired = state.requests.expire(now: now)
            state.armedDeadline = state.requests.nextDeadline
            return (expired, state.armedDeadline)
        }
        if let next { timer.withLock { $0?.set(next) } }
        for waiter in expired { waiter(.failure(NATSError(.timeout, "no answer came in time"))) }
    }
}
