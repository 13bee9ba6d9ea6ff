internal import CNats
internal import Dispatch
internal import Synchronization

/// What the threads of libnats and the callers of a connection share: where it stands, its subscriptions, who waits for
/// what. Everything is decided under one lock and done after it is released.
final class ConnectionCore: Sendable {
    let options: NATSConnectionOptions
    /// The beginning of every subject on which this connection expects answers. Nobody else knows it.
    let inbox: String
    let replyPrefix: String
    let state = Mutex(ConnectionState())
    let timer = Mutex<DeadlineTimer?>(nil)
    /// Attempts to connect block, so they have a thread of their own.
    private let attempts = DispatchQueue(label: "nats.connect")

    init(options: NATSConnectionOptions, inboxToken: String) {
        self.options = options
        inbox = "_INBOX.\(inboxToken)"
        replyPrefix = "\(inbox).r."
    }

    /// Makes the first attempt to connect, and lets others follow.
    /// - Throws: if trying again will not help.
    func open() throws(NATSError) {
        timer.withLock { $0 = DeadlineTimer { [weak self] in self?.expireRequests() } }
        _ = try subscribe("\(replyPrefix)*", queue: nil) { [weak self] in self?.answered($0) }
        do throws(NATSError) {
            establish(try ConnectionLink.open(options, core: self))
        } catch {
            guard error.code != .invalidArgument else {
                finish()
                throw error
            }
            noteFailure(error)
            attemptLater(1)
        }
    }

    /// Whether a server can be reached now.
    var isConnected: Bool {
        state.withLock { state in
            if case .connected = state.phase { true } else { false }
        }
    }

    // MARK: Connecting

    private func attemptLater(_ number: Int) {
        let delay = options.reconnectDelay(attempt: number, random: Double.random(in: 0..<1))
        attempts.asyncAfter(deadline: .now() + .milliseconds(Int(clamping: delay.wholeMilliseconds))) { [weak self] in
            self?.attempt(number)
        }
    }

    private func attempt(_ number: Int) {
        guard !state.withLock({ $0.isOver }) else { return }
        do throws(NATSError) {
            establish(try ConnectionLink.open(options, core: self))
        } catch {
            noteFailure(error)
            attemptLater(number + 1)
        }
    }

    /// Tells why no server lets us in; once, not with every attempt.
    private func noteFailure(_ error: NATSError) {
        guard error.code != .notConnected, error.code != .timeout else { return }
        let isNews = state.withLock { state in
            defer { state.shutOut = error }
            return state.shutOut != error
        }
        if isNews { emit(.shutOut(error)) }
    }

    /// Takes a new link into use: first every subscription is made on it, then what waits is sent.
    private func establish(_ link: ConnectionLink) {
        let subscriptions: [NATSSubscription]? = state.withLock { state in
            guard case .connecting = state.phase else { return nil }
            state.preparing = link
            return Array(state.subscriptions.values)
        }
        guard let subscriptions else { return }
        do throws(NATSError) {
            for subscription in subscriptions { try subscription.attach(to: link, options) }
        } catch {
            return ended(link, lastError: error)
        }
        while let kept = state.withLock({ state in
            guard case .connecting = state.phase, !link.isClosed else { return [ConnectionState.Kept]?.none }
            return state.takeBacklogOrFinish(preparing: link)
        }) {
            for kept in kept {
                do throws(NATSError) {
                    try link.send(kept.message, replyTo: kept.replyTo)
                } catch {
                    emit(.refused(error))
                }
            }
        }
        guard !link.isClosed else {
            ended(link, lastError: nil)
            return
        }
        emit(.connected)
        // What libnats called back meanwhile found the link not yet in use.
        if !link.isConnected {
            disconnected()
            if link.isConnected { reconnected() }
        }
    }

    // MARK: From libnats's threads

    func reconnected() {
        let isNews = state.withLock { state in
            guard case .reconnecting(let link) = state.phase else { return false }
            state.phase = .connected(link)
            return true
        }
        if isNews { emit(.connected) }
    }

    /// An answer to what was sent before cannot be expected any more, so nobody goes on waiting for one.
    func disconnected() {
        let orphans: [ConnectionState.Completion]? = state.withLock { state in
            guard case .connected(let link) = state.phase else { return nil }
            state.phase = .reconnecting(link)
            return state.requests.removeAll()
        }
        guard let orphans else { return }
        for orphan in orphans { orphan(.failure(.notConnected)) }
        emit(.disconnected)
    }

    /// libnats has given up on a link, or was told to close it.
    func closed(lastError: NATSError?) {
        let isClosing = state.withLock { state in
            if case .closing = state.phase { true } else { false }
        }
        if isClosing { return finish() }
        let link = state.withLock { state -> ConnectionLink? in
            switch state.phase {
            case .connected(let link), .reconnecting(let link): link
            case .connecting, .closing, .closed: nil
            }
        }
        // One that is still prepared is seen to by whoever prepares it.
        if let link, link.isClosed { ended(link, lastError: lastError) }
    }

    /// Gives up a link and begins to make another.
    private func ended(_ link: ConnectionLink, lastError: NATSError?) {
        let (wasConnected, orphans, subscriptions) = state.withLock {
            state -> (Bool, [ConnectionState.Completion], [NATSSubscription]?) in
            var wasConnected = false
            switch state.phase {
            case .connected(let current):
                guard current === link else { return (false, [], nil) }
                wasConnected = true
            case .reconnecting(let current): guard current === link else { return (false, [], nil) }
            case .connecting: guard state.preparing === link else { return (false, [], nil) }
            case .closing, .closed: return (false, [], nil)
            }
            state.phase = .connecting
            state.preparing = nil
            return (wasConnected, state.requests.removeAll(), Array(state.subscriptions.values))
        }
        guard let subscriptions else { return }
        for orphan in orphans { orphan(.failure(.notConnected)) }
        for subscription in subscriptions { subscription.detach() }
        if wasConnected { emit(.disconnected) }
        if let lastError { noteFailure(lastError) }
        attemptLater(1)
    }

    /// Closes the present link; what follows is what follows when libnats gives up on one.
    func reconnect() {
        let link = state.withLock { state -> ConnectionLink? in
            switch state.phase {
            case .connected(let link), .reconnecting(let link): link
            case .connecting, .closing, .closed: nil
            }
        }
        guard let link else { return }
        // Closing waits for libnats's threads, of which the present one may be one.
        DispatchQueue(label: "nats.reconnect").async { natsConnection_Close(link.pointer) }
    }

    // MARK: Closing

    /// Begins to close: delivers what is buffered, for at most `timeout`. Calls `action` when all is over.
    func close(timeout: Duration, then action: @escaping @Sendable () -> Void) {
        enum Step {
            case nothing
            case wait
            case finish
            case end(ConnectionLink, isConnected: Bool)
        }
        let (step, orphans) = state.withLock { state -> (Step, [ConnectionState.Completion]) in
            let step: Step
            switch state.phase {
            case .closed: return (.nothing, [])
            case .closing:
                state.whenClosed.append(action)
                return (.wait, [])
            case .connecting: step = .finish
            case .connected(let link): step = .end(link, isConnected: true)
            case .reconnecting(let link): step = .end(link, isConnected: false)
            }
            state.whenClosed.append(action)
            if case .end(let link, _) = step { state.phase = .closing(link) } else { state.phase = .closing(nil) }
            return (step, state.requests.removeAll())
        }
        for orphan in orphans { orphan(.failure(.closed)) }
        switch step {
        case .nothing: action()
        case .wait: return
        case .finish: finish()
        case .end(let link, let isConnected):
            DispatchQueue(label: "nats.close").async { [self] in
                end(link, draining: isConnected && timeout > .zero ? timeout : nil)
            }
        }
    }

    private func end(_ link: ConnectionLink, draining timeout: Duration?) {
        if let timeout, natsConnection_DrainTimeout(link.pointer, timeout.wholeMilliseconds) == NATS_OK {
            let closed = DispatchSemaphore(value: 0)
            let isClosed = state.withLock { state in
                if case .closed = state.phase { return true }
                state.whenClosed.append { closed.signal() }
                return false
            }
            // A little longer than libnats waits itself.
            let limit = Int(clamping: timeout.wholeMilliseconds.addingReportingOverflow(500).partialValue)
            if isClosed || closed.wait(timeout: .now() + .milliseconds(limit)) == .success { return }
        }
        natsConnection_Close(link.pointer)
    }

    /// The end: nothing happens after it.
    private func finish() {
        let (orphans, subscriptions, actions, listeners) = state.withLock { state in
            state.phase = .closed
            state.preparing = nil
            let subscriptions = Array(state.subscriptions.values)
            state.subscriptions = [:]
            let actions = state.whenClosed
            state.whenClosed = []
            let listeners = state.listeners
            state.listeners = EventListeners()
            return (state.requests.removeAll(), subscriptions, actions, listeners)
        }
        for orphan in orphans { orphan(.failure(.closed)) }
        for subscription in subscriptions { subscription.cancel() }
        listeners.tell(.closed)
        timer.withLock { $0 = nil }
        for action in actions { action() }
    }

    // MARK: Events

    func events() -> AsyncStream<NATSConnectionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: NATSConnectionEvent.self, bufferingPolicy: .bufferingNewest(256))
        let number: UInt64? = state.withLock { state in
            if case .closed = state.phase { return nil }
            if let reason = state.shutOut { continuation.yield(.shutOut(reason)) }
            return state.listeners.add(continuation)
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.listeners.remove(number) }
        }
        return stream
    }

    func emit(_ event: NATSConnectionEvent) {
        state.withLock { $0.listeners }.tell(event)
    }
}
