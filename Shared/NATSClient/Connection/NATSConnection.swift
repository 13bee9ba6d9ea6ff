internal import Synchronization

/// A connection to NATS that lasts: it is made again for ever when it is lost, and subscriptions with it.
///
/// Safe to use from any thread. Publishing goes to the socket at once and blocks only while the server takes nothing, at
/// most for ``NATSConnectionOptions/writeDeadline``. Nothing else blocks.
public final class NATSConnection: Sendable {
    let core: ConnectionCore
    /// Takes the requests while it is connected.
    let requester: CoreRequester?

    /// Begins to connect; the first attempt is made before this returns, further ones in the background.
    /// - Throws: only for what trying again will not mend: a malformed URL, an unreadable credentials file.
    public init(_ options: NATSConnectionOptions) throws(NATSError) {
        if let path = options.credentials {
            // libnats would notice only once it has found a server.
            try CredentialsFile.check(path)
        }
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        let token = (0..<22).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] }
        core = ConnectionCore(options: options, inboxToken: String(decoding: token, as: UTF8.self))
        requester = options.makesManyRequests ? CoreRequester(options, inbox: core.inbox) : nil
        try core.open()
    }

    deinit { core.close(timeout: .zero) {} }

    /// Where tasks that mostly wait for answers run with the fewest changes of thread, as long as this object lives; nil if
    /// anywhere is as good. What runs there must not block.
    public var taskExecutor: (any TaskExecutor)? { requester?.taskExecutor }

    /// The way that a request takes now.
    var carrier: RequestCarrier {
        if let requester, requester.isConnected { return .own(requester) }
        return .libnats(core)
    }

    /// Whether a server can be reached now.
    public var isConnected: Bool { core.isConnected }

    /// What happens from now on. Each call returns its own sequence, which keeps the newest 256 events.
    public func events() -> AsyncStream<NATSConnectionEvent> { core.events() }

    /// Drops the connection and makes it again, with every subscription: for whoever has found that it looks alive and is
    /// not. Requests that wait for an answer throw `notConnected`. Returns at once; nothing happens while there is none.
    public func reconnect() { core.reconnect() }

    // MARK: Publish and subscribe

    /// Sends a message to whoever listens now, or keeps it while no server can be reached.
    /// - Throws: `notConnected` when the buffer for that time is full, `payloadTooLarge`, `invalidArgument`, `closed`.
    public func publish(_ message: NATSMessage) throws(NATSError) {
        if let replyTo = message.replyTo { try NATSSyntax.checkSubject(replyTo, allowsWildcards: false) }
        try core.send(message, replyTo: message.replyTo)
    }

    /// Calls `onMessage` for every message on `subject`, one at a time, in order. With `queue`, each message goes to one
    /// member of the group only.
    ///
    /// `onMessage` runs on the one delivery thread of the process and holds up all other subscriptions until it returns:
    /// it must not block. The subscription lives until it is cancelled, whether or not anybody holds it.
    @discardableResult
    public func subscribe(
        _ subject: String, queue: String? = nil, onMessage: @escaping @Sendable (NATSMessage) -> Void
    ) throws(NATSError) -> NATSSubscription {
        try NATSSyntax.checkSubject(subject, allowsWildcards: true)
        if let queue { try NATSSyntax.checkSubject(queue, allowsWildcards: false) }
        return try core.subscribe(subject, queue: queue, deliver: onMessage)
    }

    // MARK: Requests

    /// Sends a request and waits for the first answer.
    /// - Throws: `noResponders` at once if nobody listens, `timeout`, `notConnected` also if the connection is lost while
    ///   waiting, `cancelled` if the calling task is.
    public func request(_ message: NATSMessage, timeout: Duration) async throws(NATSError) -> NATSMessage {
        if let requester, requester.isConnected {
            let token = requester.reserve()
            let result = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    requester.begin(message, token: token, timeout: timeout) { continuation.resume(returning: $0) }
                }
            } onCancel: {
                requester.cancel(token)
            }
            do throws(NATSError) {
                return try result.get()
            } catch {
                // Nobody got it. A subscription that was made here just now may still be on its way to the server, behind which
                // the request comes on the same way.
                guard error.code == .noResponders else { throw error }
            }
        }
        let token = try core.reserveRequest()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                begin(message, token: token, timeout: timeout) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            core.cancel(token)
        }
        return try result.get()
    }

    /// Sends a request now and calls `completion` once, on any thread, with the answer or the error.
    func begin(
        _ message: NATSMessage, timeout: Duration, completion: @escaping ConnectionState.Completion
    ) throws(NATSError) {
        if let requester, requester.isConnected {
            requester.begin(message, token: requester.reserve(), timeout: timeout, completion: completion)
        } else {
            begin(message, token: try core.reserveRequest(), timeout: timeout, completion: completion)
        }
    }

    func begin(
        _ message: NATSMessage, token: UInt64, timeout: Duration, completion: @escaping ConnectionState.Completion
    ) {
        core.wait(token, until: .now + timeout, completion)
        do throws(NATSError) {
            try core.send(message, replyTo: core.replySubject(token))
        } catch {
            core.complete(token, .failure(error))
        }
    }

    /// Returns when the server has seen everything that was published before.
    public func flush(timeout: Duration) async throws(NATSError) {
        // A message to oneself comes back behind all that was sent before it.
        let token = try core.reserveRequest()
        let subject = core.replySubject(token)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                begin(NATSMessage(subject: subject), token: token, timeout: timeout) {
                    continuation.resume(returning: $0)
                }
            }
        } onCancel: {
            core.cancel(token)
        }
        _ = try result.get()
    }

    /// Stops taking messages, delivers what is buffered both ways, at most for `timeout`, and closes the connection.
    public func close(timeout: Duration) async {
        requester?.close()
        await withCheckedContinuation { continuation in
            core.close(timeout: timeout) { continuation.resume() }
        }
    }
}
