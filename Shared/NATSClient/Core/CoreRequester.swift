internal import Reactor
internal import Synchronization

/// Requests by a connection of their own, on a thread of their own: those that are made at the same time are written together,
/// and answers that come together are read together, which makes each several times cheaper than by libnats.
///
/// Where such a connection cannot be made, or while it is lost, ``isConnected`` is false, and libnats must do it.
final class CoreRequester: Sendable {
    private let reactor: Reactor
    let connection: CoreConnection
    /// For tasks that wait for answers. It works as long as this object lives.
    let taskExecutor: any TaskExecutor
    /// The beginning of the subjects on which answers may be expected.
    let inbox: String
    /// Ends with a dot; the request's token follows.
    let prefix: String

    /// - Parameter inbox: what nobody else knows: the beginning of the subjects on which answers come.
    /// - Returns: nil if there is no use in trying.
    init?(_ options: NATSConnectionOptions, inbox: String) {
        guard CoreConnection.obstacle(to: options) == nil, let reactor = try? Reactor(name: "nats.requests") else {
            return nil
        }
        self.reactor = reactor
        taskExecutor = ReactorTaskExecutor(reactor)
        self.inbox = "\(inbox).q"
        prefix = "\(inbox).q.r."
        connection = CoreConnection(options, on: reactor)
        // What is subscribed to now is so whenever it is connected.
        guard (try? connection.subscribe("\(prefix)*", Answers(connection, prefixLength: prefix.utf8.count))) != nil
        else {
            connection.close()
            reactor.stop()
            return nil
        }
    }

    deinit {
        connection.close()
        // Held until it has let go of its socket.
        reactor.execute { [reactor, connection] in
            _ = connection
            reactor.stop()
        }
    }

    var isConnected: Bool { connection.isConnected }

    func close() { connection.close() }

    // MARK: Pieces, for what is answered in a way of its own

    func wait(
        _ token: UInt64, until deadline: ContinuousClock.Instant, _ completion: @escaping ConnectionState.Completion
    ) {
        let refusal = connection.state.withLock { state -> NATSError? in
            // The connection may have been lost since room was made.
            guard state.machine.isConnected else {
                state.requests.forget(token)
                return .notConnected
            }
            let waiter = CoreRequester.waiter(completion)
            return state.requests.wait(token, waiter, until: deadline) ? nil : .cancelled
        }
        if let refusal { return completion(.failure(refusal)) }
        // The reactor has to know the deadline.
        connection.schedule()
    }

    func send(_ message: NATSMessage, replyTo: String?) throws(NATSError) {
        try NATSSyntax.check(message)
        let refusal = connection.state.withLock { state -> NATSError? in
            do throws(NATSError) {
                try state.machine.publish(message, replyTo: replyTo)
                return nil
            } catch {
                return error
            }
        }
        if let refusal { throw refusal }
        connection.schedule()
    }

    func fail(_ token: UInt64, _ error: NATSError) {
        connection.state.withLock { $0.requests.remove(token) }?.receive(.failure(error))
    }

    func forget(_ token: UInt64) { connection.state.withLock { $0.requests.forget(token) } }

    /// - Returns: what ends the subscription.
    func subscribe(
        _ subject: String, deliver: @escaping @Sendable (NATSMessage) -> Void
    ) throws(NATSError) -> @Sendable () -> Void {
        let id = try connection.subscribe(subject, Deliveries(deliver))
        return { [weak connection] in connection?.cancel(id) }
    }

    private final class Deliveries: CoreReceiver {
        private let deliver: @Sendable (NATSMessage) -> Void

        init(_ deliver: @escaping @Sendable (NATSMessage) -> Void) { self.deliver = deliver }

        func receive(_ message: CoreMessage) { deliver(NATSMessage(message)) }
    }

    // MARK: Requests

    func reserve() -> UInt64 { connection.state.withLock { $0.requests.reserve() } }

    /// Sends a request and calls `completion` once, on any thread, with the answer or the error.
    func begin(
        _ message: NATSMessage, token: UInt64, timeout: Duration, completion: @escaping ConnectionState.Completion
    ) {
        do throws(NATSError) {
            try NATSSyntax.check(message)
        } catch {
            connection.state.withLock { $0.requests.forget(token) }
            return completion(.failure(error))
        }
        let (deadline, replyTo) = (ContinuousClock.now + timeout, "\(prefix)\(token)")
        let refusal = connection.state.withLock { state -> NATSError? in
            let waiter = CoreRequester.waiter(completion)
            guard state.requests.wait(token, waiter, until: deadline) else { return .cancelled }
            do throws(NATSError) {
                try state.machine.publish(message, replyTo: replyTo)
                return nil
            } catch {
                state.requests.forget(token)
                return error
            }
        }
        if let refusal { return completion(.failure(refusal)) }
        connection.schedule()
    }

    func cancel(_ token: UInt64) {
        connection.state.withLock { $0.requests.abandon(token) }?.receive(.failure(.cancelled))
    }

    /// Takes the answers.
    private final class Answers: CoreReceiver {
        private weak let connection: CoreConnection?
        private let prefixLength: Int

        init(_ connection: CoreConnection, prefixLength: Int) {
            self.connection = connection
            self.prefixLength = prefixLength
        }

        func receive(_ message: CoreMessage) {
            var token: UInt64 = 0
            for byte in message.subject.dropFirst(prefixLength) {
                guard byte >= 0x30, byte <= 0x39 else { return }
                token = token &* 10 &+ UInt64(byte - 0x30)
            }
            let waiter = connection?.state.withLock { state in
                if let waiter = state.requests.waiter(of: token), waiter.isLasting { return waiter }
                return state.requests.remove(token)
            }
            guard let waiter else { return }
            if message.status == 503 {
                waiter.receive(.failure(NATSError(.noResponders, "nobody answers requests on this subject")))
            } else {
                waiter.receive(.success(message))
            }
        }
    }

    private static func waiter(_ completion: @escaping ConnectionState.Completion) -> CoreConnection.Waiter {
        CoreConnection.Waiter { completion($0.map { NATSMessage($0) }) }
    }
}

extension NATSMessage {
    /// Copies what lies in the buffer from which it is read.
    init(_ message: CoreMessage) {
        self.init(
            subject: String(decoding: message.subject, as: UTF8.self),
            headers: message.headers.isEmpty ? NATSHeaders() : NATSHeaders(received: Array(message.headers)),
            payload: Array(message.payload),
            replyTo: message.replyTo.isEmpty ? nil : String(decoding: message.replyTo, as: UTF8.self))
    }
}

extension NATSHeaders {
    /// As they come on the wire: what the first line says besides the version stands under `Status` and `Description`, as
    /// with libnats.
    fileprivate init(received block: [UInt8]) {
        self.init(block: block)
        // Most say nothing: `NATS/1.0`.
        guard block.count > 9, block[8] == UInt8(ascii: " ") else { return }
        let line = String(decoding: block.prefix { $0 != 0x0D && $0 != 0x0A }, as: UTF8.self)
        let words = line.split(separator: " ", maxSplits: 2)
        if words.count > 1 { append("Status", String(words[1])) }
        if words.count > 2 { append("Description", String(words[2])) }
    }
}
