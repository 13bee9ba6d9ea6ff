internal import Dispatch
package import Reactor
internal import Synchronization

/// A connection to NATS on a reactor's thread: a message is read, found its subscription and handed to it there, with no
/// other thread woken for it; what is sent meanwhile is written at once. It is made again for ever when it is lost, and
/// subscriptions with it.
///
/// Reads only as fast as receivers return, so what is too much for them waits at the server, which ends the connection of a
/// slow consumer: that shows as a loss of it. Safe to use from any thread.
///
/// Speaks no TLS: see ``CoreObstacle``.
package final class CoreConnection: Sendable {
    private typealias Completion = @Sendable (Result<Void, NATSError>) -> Void

    /// Is given what answers a request, on the reactor's thread, or why nothing does, on any. A message lies in the buffer into
    /// which it was read, and is gone when this returns.
    typealias AnswerReceiver = @Sendable (Result<CoreMessage, NATSError>) -> Void

    /// Who waits for answers on one subject.
    struct Waiter: Sendable {
        let receive: AnswerReceiver
        /// Whether more than one answer comes: the waiter ends the request then.
        var isLasting = false
    }

    struct State {
        var machine: CoreMachine
        var flushes = RequestTable<@Sendable (Result<Void, NATSError>) -> Void>()
        /// Requests whose answers are to come by this connection: see ``CoreRequester``.
        var requests = RequestTable<Waiter>()
        var listeners = EventListeners()
        /// What is to be done on the reactor's thread.
        var actions: [CoreAction] = []
        /// Whether the reactor has been asked to do it.
        var isScheduled = false
    }

    private let options: NATSConnectionOptions
    private let reactor: Reactor
    let state: Mutex<State>
    private let onObstacle: @Sendable (CoreObstacle) -> Void
    /// Asking for addresses and reading credentials block.
    private let finding = DispatchQueue(label: "nats.find")

    // These belong to the reactor's thread.
    private nonisolated(unsafe) var socket: CoreSocket?
    private nonisolated(unsafe) var credentials: CredentialsFile.Contents?
    private nonisolated(unsafe) var timer: ReactorTimer?
    private nonisolated(unsafe) var timerDeadline: ContinuousClock.Instant?
    private nonisolated(unsafe) var isHeard = false
    private nonisolated(unsafe) var isSettling = false
    nonisolated(unsafe) let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: CoreSocket.readSize, alignment: 16)

    /// Why there is no use in making such a connection; nil if there is.
    package static func obstacle(to options: NATSConnectionOptions) -> CoreObstacle? {
        CoreMachine.obstacle(to: options)
    }

    /// Begins to connect, and returns.
    /// - Parameter onObstacle: called once, on the reactor's thread, if this connection can never be made; see
    ///   ``takeSubscriptions()``.
    package init(
        _ options: NATSConnectionOptions, on reactor: Reactor,
        onObstacle: @escaping @Sendable (CoreObstacle) -> Void = { _ in }
    ) {
        self.options = options
        self.reactor = reactor
        self.onObstacle = onObstacle
        state = Mutex(State(machine: CoreMachine(options, seed: .random(in: 0...UInt64.max))))
        decide { $0.machine.start(now: .now) }
    }

    deinit {
        buffer.deallocate()
        guard let socket else { return }
        reactor.execute { socket.close() }
    }

    // MARK: From any thread

    package var isConnected: Bool { state.withLock { $0.machine.isConnected } }

    /// Hands every message on `subject` to `receiver`, on the reactor's thread, one at a time, in order, until the
    /// subscription is cancelled.
    /// - Throws: `invalidArgument`, `closed`.
    package func subscribe(
        _ subject: String, queue: String? = nil, _ receiver: any CoreReceiver
    ) throws(NATSError) -> CoreSubscriptions.ID {
        try NATSSyntax.checkSubject(subject, allowsWildcards: true)
        if let queue { try NATSSyntax.checkSubject(queue, allowsWildcards: false) }
        let id: Result<CoreSubscriptions.ID, NATSError> = state.withLock { state in
            do throws(NATSError) {
                let id = try state.machine.subscribe(subject, queue: queue, receiver)
                state.actions += state.machine.isStuck(now: .now)
                return .success(id)
            } catch {
                return .failure(error)
            }
        }
        schedule()
        return try id.get()
    }

    /// Ends a subscription. Its receiver may be called once more for a message that is being handed over. Doing it twice is
    /// harmless.
    package func cancel(_ id: CoreSubscriptions.ID) {
        decide { state in
            state.machine.unsubscribe(id)
            return state.machine.isStuck(now: .now)
        }
    }

    /// Returns when the server knows every subscription that was made before, and every message that came before that has
    /// been handed over.
    /// - Throws: `notConnected`, also if the connection is lost meanwhile; `timeout`, `cancelled`, `closed`.
    package func flush(timeout: Duration) async throws(NATSError) {
        let token = state.withLock { $0.flushes.reserve() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                begin(token, until: .now + timeout) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            state.withLock { $0.flushes.abandon(token) }?(.failure(.cancelled))
        }
        try result.get()
    }

    private func begin(_ token: UInt64, until deadline: ContinuousClock.Instant, _ completion: @escaping Completion) {
        let refusal = state.withLock { state -> NATSError? in
            guard state.flushes.wait(token, completion, until: deadline) else { return .cancelled }
            do throws(NATSError) {
                try state.machine.flush(token)
                return nil
            } catch {
                state.flushes.forget(token)
                return error
            }
        }
        if let refusal { return completion(.failure(refusal)) }
        schedule()
    }

    /// Leaves the present server and connects anew, with every subscription. Returns at once; nothing happens while there
    /// is none.
    package func reconnect() { decide { $0.machine.reconnect(now: .now) } }

    /// Ends it and every subscription.
    package func close() { decide { $0.machine.close() } }

    /// What happens from now on. Each call returns its own sequence, which keeps the newest 256 events.
    package func events() -> AsyncStream<NATSConnectionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: NATSConnectionEvent.self, bufferingPolicy: .bufferingNewest(256))
        let number = state.withLock { state -> UInt64? in
            guard !state.machine.isClosed else { return nil }
            if let reason = state.machine.shutOut { continuation.yield(.shutOut(reason)) }
            return state.listeners.add(continuation)
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.listeners.remove(number) } }
        return stream
    }

    /// The subscriptions of a connection that can never be made, for whoever makes them elsewhere. It is closed then.
    package func takeSubscriptions() -> [CoreSubscriptions.Subscription] {
        let subscriptions = state.withLock { $0.machine.subscriptions.all }
        close()
        return subscriptions
    }

    private func decide(_ body: (inout State) -> [CoreAction]) {
        state.withLock { $0.actions += body(&$0) }
        schedule()
    }

    /// From so many bytes on, what is to be written does not wait for the end of a turn: the server begins with it while more
    /// is being made.
    static let bytesToWriteAtOnce = 24 * 1024

    /// Has the reactor do what has been decided, once for all that is decided until then; at once where this is its thread and
    /// much is to be written.
    func schedule() {
        let (isMuch, isNew) = state.withLock { state in
            let isMuch = state.machine.commands.bytes.count >= CoreConnection.bytesToWriteAtOnce
            defer { state.isScheduled = true }
            return (isMuch, !state.isScheduled)
        }
        if isNew { reactor.executeLast { [weak self] in self?.settle() } }
        if isMuch, reactor.isCurrent, socket?.isWaitingToWrite == false { settle() }
    }

    // MARK: On the reactor's thread

    /// Does what has been decided, until nothing is left to be done or written.
    private func settle() {
        // What is decided meanwhile is done by the call under way.
        guard !isSettling else { return }
        isSettling = true
        repeat {
            let actions = state.withLock { state in
                state.isScheduled = false
                defer { state.actions = [] }
                return state.actions
            }
            for action in actions { carryOut(action) }
            writeCommands()
        } while state.withLock { !$0.actions.isEmpty }
        isSettling = false
        armTimer()
    }

    private func carryOut(_ action: CoreAction) {
        switch action {
        case .connect(let server): connect(to: server)
        case .introduce(let server, let nonce): introduce(to: server, nonce: nonce)
        case .disconnect:
            socket?.close()
            socket = nil
            credentials = nil
            // Their answers cannot be expected any more.
            for orphan in state.withLock({ $0.requests.removeAll() }) { orphan.receive(.failure(.notConnected)) }
        case .emit(let event): state.withLock { $0.listeners }.tell(event)
        case .answer(let tokens, let error):
            for token in tokens {
                state.withLock { $0.flushes.remove(token) }?(error.map { .failure($0) } ?? .success(()))
            }
        case .giveUp(let obstacle): onObstacle(obstacle)
        }
    }

    private func writeCommands() {
        guard let socket else { return }
        if !socket.write({ state.withLock { $0.machine.takeCommands() } }) {
            failed(socket, NATSError(.notConnected, "the connection is broken"))
        }
    }

    private func connect(to server: CoreServer) {
        let socket = CoreSocket(reactor, owner: self)
        self.socket = socket
        let file = options.credentials
        let reactor = reactor
        finding.async { [weak self] in
            // Its time may be over before its turn comes.
            guard self?.state.withLock({ $0.machine.phase }) == .connecting else { return }
            do throws(NATSError) {
                let credentials = try file.map { path throws(NATSError) in try CredentialsFile.contents(of: path) }
                let addresses = try SocketAddress.find(server.host, port: server.port)
                reactor.execute { [weak self] in
                    guard let self, self.socket === socket else { return }
                    self.credentials = credentials
                    socket.connect(to: addresses)
                }
            } catch {
                reactor.execute { [weak self] in self?.failed(socket, error) }
            }
        }
    }

    private func introduce(to server: CoreServer, nonce: String?) {
        let introduction: Result<CoreIntroduction, NATSError>
        do throws(NATSError) {
            introduction = .success(
                try CoreIntroduction(name: options.name, server: server, credentials: credentials, nonce: nonce))
        } catch {
            introduction = .failure(error)
        }
        credentials = nil
        state.withLock { state in
            switch introduction {
            case .success(let introduction): state.machine.introduce(introduction, now: .now)
            case .failure(let error): state.actions += state.machine.failed(error, now: .now)
            }
        }
    }

    // MARK: From the socket

    func opened(_ socket: CoreSocket) {
        guard socket === self.socket else { return }
        state.withLock { $0.actions += $0.machine.opened(now: .now) }
        settle()
    }

    func failed(_ socket: CoreSocket, _ error: NATSError) {
        guard socket === self.socket else { return }
        state.withLock { $0.actions += $0.machine.failed(error, now: .now) }
        settle()
    }

    func canWrite(_ socket: CoreSocket) { settle() }

    func received(_ socket: CoreSocket, _ bytes: UnsafeRawBufferPointer) {
        isHeard = true
        var rest = bytes
        var mustSettle = false
        var messages: [CoreMessage] = []
        messages.reserveCapacity(CoreConnection.batch)
        do throws(CoreProtocolError) {
            repeat {
                messages.removeAll(keepingCapacity: true)
                let other = try socket.parser.nextMessages(&rest, limit: CoreConnection.batch, into: &messages)
                handOver(messages)
                guard let other else { continue }
                mustSettle = true
                socket.parser.maximumPayload = take(other)
            } while !rest.isEmpty
        } catch {
            handOver(messages)
            return failed(socket, NATSError(.failed, "what the server sent cannot be read: \(error)"))
        }
        if mustSettle { settle() }
    }

    /// How many messages are found before they are handed over.
    private static let batch = 32

    private func handOver(_ messages: [CoreMessage]) {
        if messages.count > 1 { state.withLock { $0.machine.subscriptions.fetch(for: messages) } }
        for message in messages {
            // Without the lock: a receiver may subscribe and cancel.
            let receiver = state.withLock { $0.machine.subscriptions.receiver(of: message.subscription) }
            receiver?.receive(message)
        }
    }

    /// - Returns: how large a message may be from now on.
    private func take(_ operation: CoreOperation) -> Int {
        let now = ContinuousClock.now
        return state.withLock { state in
            switch operation {
            case .information(let json): state.actions += state.machine.informed(json, now: now)
            case .error(let text): state.actions += state.machine.refused(text, now: now)
            case .ping: state.machine.pinged()
            case .pong: state.actions += state.machine.ponged(now: now)
            case .ok, .message: break
            }
            return state.machine.maximumPayload
        }
    }

    // MARK: Time

    private func armTimer() {
        let deadline = state.withLock { state -> ContinuousClock.Instant? in
            [state.machine.deadline, state.flushes.nextDeadline, state.requests.nextDeadline].compactMap { $0 }.min()
        }
        guard let deadline else {
            timer?.cancel()
            timer = nil
            return
        }
        // One that fires too early looks again.
        if timer != nil, let timerDeadline, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = reactor.schedule(after: deadline - .now) { [weak self] in self?.wake() }
    }

    private func wake() {
        timer = nil
        let isHeard = isHeard
        self.isHeard = false
        let (flushes, requests) = state.withLock { state in
            if isHeard { state.machine.heard() }
            state.actions += state.machine.due(now: .now)
            return (state.flushes.expire(now: .now), state.requests.expire(now: .now))
        }
        for waiter in flushes { waiter(.failure(NATSError(.timeout, "the server did not answer in time"))) }
        for waiter in requests { waiter.receive(.failure(NATSError(.timeout, "no answer came in time"))) }
        settle()
    }
}
