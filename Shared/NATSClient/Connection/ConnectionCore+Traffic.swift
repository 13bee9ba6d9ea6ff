internal import CNats
internal import Synchronization

// Messages, subscriptions and requests of a connection.

extension ConnectionCore {
    // MARK: Sending

    /// The largest message while no server has said what it takes.
    private static let assumedMaximumPayload: Int64 = 1 << 20

    func send(_ message: NATSMessage, replyTo: String?) throws(NATSError) {
        try NATSSyntax.check(message)
        let link = state.withLock { $0.subscribingLink }
        let announced = link?.maximumPayload ?? 0
        let maximum = announced > 0 ? announced : ConnectionCore.assumedMaximumPayload
        guard message.payload.count + message.headers.encodedLength <= maximum else {
            throw NATSError(
                .payloadTooLarge, "the message is larger than the \(maximum) bytes that the server takes (max_payload)")
        }
        switch state.withLock({ $0.route(message, replyTo: replyTo, limit: options.reconnectBufferBytes) }) {
        case .link(let link): try link.send(message, replyTo: replyTo)
        case .kept: return
        case .refused(let error): throw error
        }
    }

    // MARK: Subscriptions

    func subscribe(
        _ subject: String, queue: String?, deliver: @escaping @Sendable (NATSMessage) -> Void
    ) throws(NATSError) -> NATSSubscription {
        let subscription = NATSSubscription(subject: subject, queue: queue, deliver: deliver) {
            [weak self] subject, count in self?.emit(.slowConsumer(subject: subject, dropped: count))
        }
        let (isOver, link) = state.withLock { state -> (Bool, ConnectionLink?) in
            guard !state.isOver else { return (true, nil) }
            state.subscriptions[ObjectIdentifier(subscription)] = subscription
            return (false, state.subscribingLink)
        }
        guard !isOver else { throw .closed }
        subscription.whenEnded { [weak self, weak subscription] in
            guard let self, let subscription else { return }
            state.withLock { $0.subscriptions[ObjectIdentifier(subscription)] = nil }
        }
        if let link {
            do throws(NATSError) {
                try subscription.attach(to: link, options)
            } catch {
                // On a link that has just ended: the next one gets it too.
                guard !link.isClosed else { return subscription }
                subscription.cancel()
                throw error
            }
        }
        return subscription
    }

    /// libnats says that messages for a subscription are dropped.
    func overflowed(_ handle: OpaquePointer) {
        let subscriptions = state.withLock { Array($0.subscriptions.values) }
        let address = UInt(bitPattern: handle)
        subscriptions.first { $0.isAttached(at: address) }?.overflowed(handle)
    }

    // MARK: Requests

    /// Makes room for one answer.
    func reserveRequest() throws(NATSError) -> UInt64 {
        let reserved: Result<UInt64, NATSError> = state.withLock {
            switch $0.phase {
            case .connected: .success($0.requests.reserve())
            case .connecting, .reconnecting: .failure(.notConnected)
            case .closing, .closed: .failure(.closed)
            }
        }
        return try reserved.get()
    }

    /// Where the answer to a request goes.
    func replySubject(_ token: UInt64) -> String { "\(replyPrefix)\(token)" }

    /// Calls `completion` once: with the answer, or with the error that ends the waiting.
    func wait(
        _ token: UInt64, until deadline: ContinuousClock.Instant, _ completion: @escaping ConnectionState.Completion
    ) {
        let (refusal, mustArm) = state.withLock { state -> (NATSError?, Bool) in
            // The connection may have been lost since room was made.
            guard case .connected = state.phase else {
                state.requests.forget(token)
                return (state.isOver ? .closed : .notConnected, false)
            }
            guard state.requests.wait(token, completion, until: deadline) else { return (.cancelled, false) }
            guard state.armedDeadline.map({ deadline < $0 }) ?? true else { return (nil, false) }
            state.armedDeadline = deadline
            return (nil, true)
        }
        if let refusal { return completion(.failure(refusal)) }
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
        state.withLock { $0.requests.forget(token) }
    }

    func answered(_ message: NATSMessage) {
        guard let token = UInt64(message.subject.dropFirst(replyPrefix.count)) else { return }
        if message.status == 503 {
            complete(token, .failure(NATSError(.noResponders, "nobody answers requests on this subject")))
        } else {
            complete(token, .success(message))
        }
    }

    func expireRequests() {
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
