/// Decides what a connection to a server of a cluster does: whom it tries, what it says, when it gives a silent one up, what
/// it tells. A value without socket, clock or randomness.
///
/// Each input returns what must be done because of it. What must be written is taken by ``takeCommands()`` after each of
/// them, and whenever the socket takes more. ``deadline`` says when ``due(now:)`` must be called next.
struct CoreMachine {
    typealias Instant = ContinuousClock.Instant

    enum Phase: Equatable {
        /// Nothing is done until the next attempt.
        case paused
        /// The socket is being made.
        case connecting
        /// The socket is there; the server says what it is. Exits with `INFO`.
        case greeting
        /// We have said who we are, and the server has not answered.
        case introducing
        /// Every subscription is being made anew; exits when the server has answered behind the last.
        case subscribing
        case connected
        case closed
    }

    /// An answer that will come, in the order in which it was asked for.
    struct ExpectedPong {
        enum Purpose {
            case introduction
            case subscriptions
            case other
        }

        var purpose = Purpose.other
        /// Who waits for it.
        var flushes: [UInt64] = []
        /// How many ended subscriptions it is behind of.
        var retired = 0
    }

    let options: NATSConnectionOptions
    var phase = Phase.paused
    var subscriptions = CoreSubscriptions()
    var servers: ServerRotation
    /// The one that is tried or used.
    var server: CoreServer?
    var random: CoreRandom
    /// How many rounds over all servers have been made since the last success, the present one included.
    var round = 0
    /// When the present phase has lasted too long, or the pause is over.
    var phaseDeadline: Instant?
    /// When to look whether the server still speaks.
    var pingDeadline: Instant?
    /// Whether the server has said anything since the last look.
    var isHeard = false
    var silentLooks = 0
    var pongs: [ExpectedPong] = []
    /// Whether no attempt has failed or succeeded yet.
    var isFirstAttempt = true
    /// Who waits for a `PING` that is not written yet.
    var waitingFlushes: [UInt64] = []
    var commands = CoreCommands()
    /// The number of the first subscription that has not been made anew; nil when all have.
    var subscribingFrom: Int?
    /// How large a message may be, either way.
    var maximumPayload = CoreParser.largestPayload
    /// Why no server lets us in, while that is so.
    var shutOut: NATSError?

    /// How much is written at once.
    static let chunk = 64 * 1024
    /// A server that takes nothing while so much waits for it is given up: the subscriptions are made on the next one.
    static let maximumCommands = 8 << 20
    /// So many ended subscriptions are worth asking the server for an answer, so that their numbers can be used again.
    static let retiredBeforePing = 1024

    /// Why there is no use in trying; nil if there is.
    static func obstacle(to options: NATSConnectionOptions) -> CoreObstacle? {
        let servers = options.servers.map(CoreServer.init(url:))
        if servers.isEmpty || servers.contains(nil) { return .noServer }
        return servers.contains { $0?.wantsTLS ?? false } ? .configurationRequiresTLS : nil
    }

    init(_ options: NATSConnectionOptions, seed: UInt64) {
        self.options = options
        servers = ServerRotation(options.servers.compactMap(CoreServer.init(url:)))
        random = CoreRandom(seed: seed)
    }

    var isConnected: Bool { phase == .connected }
    var isClosed: Bool { phase == .closed }

    /// Whether the server knows of subscriptions, or gets to know of them in a moment.
    private var isSubscribing: Bool { phase == .connected || phase == .subscribing }

    /// Whether the server has been told of every subscription that there is.
    private var isToldAll: Bool { isSubscribing && subscribingFrom == nil }

    /// When ``due(now:)`` must be called.
    var deadline: Instant? {
        switch (phaseDeadline, pingDeadline) {
        case (let left?, let right?): min(left, right)
        case (let one, let other): one ?? other
        }
    }

    // MARK: From the owner

    mutating func start(now: Instant) -> [CoreAction] {
        guard phase == .paused, server == nil else { return [] }
        return attempt(now: now)
    }

    /// - Throws: `closed`.
    mutating func subscribe(
        _ subject: String, queue: String?, _ receiver: any CoreReceiver
    ) throws(NATSError) -> CoreSubscriptions.ID {
        guard phase != .closed else { throw .closed }
        let id = subscriptions.add(subject, queue: queue, receiver)
        // Those that are still to be made anew come in their turn.
        if isSubscribing, id.number < subscribingFrom ?? .max {
            commands.subscribe(subject, queue: queue, number: id.number)
        }
        return id
    }

    mutating func unsubscribe(_ id: CoreSubscriptions.ID) {
        let isKnown = isSubscribing && id.number < subscribingFrom ?? .max
        guard subscriptions.remove(id, isKnown: isKnown), isKnown else { return }
        commands.unsubscribe(id.number)
    }

    /// Puts a message among what is to be written. Nothing is kept while there is no connection.
    /// - Throws: `notConnected`, `closed`, `payloadTooLarge`.
    mutating func publish(_ message: NATSMessage, replyTo: String?) throws(NATSError) {
        if let refusal = refusal(of: message) { throw refusal }
        commands.publish(message, replyTo: replyTo)
    }

    /// Why a message cannot be sent now; nil if it can.
    func refusal(of message: NATSMessage) -> NATSError? {
        guard phase != .closed else { return .closed }
        guard phase == .connected, commands.bytes.count <= CoreMachine.maximumCommands else { return .notConnected }
        guard message.payload.count + message.headers.encodedLength <= maximumPayload else {
            return NATSError(
                .payloadTooLarge,
                "the message is larger than the \(maximumPayload) bytes that the server takes (max_payload)")
        }
        return nil
    }

    /// `waiter` is answered when the server has seen everything that was asked of it before. At the start that may be when
    /// the first attempt has ended.
    /// - Throws: `notConnected` or `closed`.
    mutating func flush(_ waiter: UInt64) throws(NATSError) {
        guard phase != .closed else { throw .closed }
        guard isSubscribing || (isFirstAttempt && phase != .paused) else { throw .notConnected }
        waitingFlushes.append(waiter)
    }

    /// Leaves the present server, if there is one.
    mutating func reconnect(now: Instant) -> [CoreAction] {
        isSubscribing ? drop(nil, now: now) : []
    }

    mutating func close() -> [CoreAction] {
        guard phase != .closed else { return [] }
        let flushes = forgetConnection()
        phase = .closed
        phaseDeadline = nil
        subscriptions.removeAll()
        return [.disconnect, .answer(flushes, .closed), .emit(.closed)]
    }

    // MARK: Time

    mutating func due(now: Instant) -> [CoreAction] {
        if let phaseDeadline, phaseDeadline <= now {
            guard phase == .paused else {
                return drop(NATSError(.timeout, "no answer from \(server?.address ?? "the server")"), now: now)
            }
            return attempt(now: now)
        }
        guard let pingDeadline, pingDeadline <= now else { return [] }
        silentLooks = isHeard ? 0 : silentLooks + 1
        isHeard = false
        guard silentLooks < 2 else {
            return drop(NATSError(.timeout, "\(server?.address ?? "the server") is silent"), now: now)
        }
        self.pingDeadline = now + options.pingInterval
        ping(.other)
        return []
    }

    // MARK: Writing

    /// What is to be written now; empty if nothing is. At most about ``chunk`` of the subscriptions that are made anew.
    mutating func takeCommands() -> [UInt8] {
        if commands.bytes.isEmpty, let first = subscribingFrom {
            let next = subscriptions.write(from: first, limit: CoreMachine.chunk, to: &commands)
            subscribingFrom = next < subscriptions.end ? next : nil
            if subscribingFrom == nil { ping(.subscriptions) }
        }
        let mustRelease = phase == .connected && subscriptions.retiredCount >= CoreMachine.retiredBeforePing
        if (isToldAll && !waitingFlushes.isEmpty) || (mustRelease && pongs.isEmpty) { ping(.other) }
        defer { commands.removeAll() }
        return commands.bytes
    }

    /// One answer is enough for all who wait, and for everything that was written before.
    mutating func ping(_ purpose: ExpectedPong.Purpose) {
        let covered = pongs.reduce(0) { $0 + $1.retired }
        var pong = ExpectedPong(purpose: purpose, retired: subscriptions.retiredCount - covered)
        if isToldAll { swap(&pong.flushes, &waitingFlushes) }
        pongs.append(pong)
        commands.ping()
    }

    // MARK: Attempts

    mutating func attempt(now: Instant) -> [CoreAction] {
        if servers.isRoundOver { round += 1 }
        guard let next = servers.next(using: &random) else { return [.giveUp(.noServer)] }
        server = next
        phase = .connecting
        phaseDeadline = now + options.connectTimeout
        return [.connect(next)]
    }

    /// Leaves the server and tries the next one, after a pause when all have been tried.
    mutating func drop(_ reason: NATSError?, now: Instant) -> [CoreAction] {
        guard phase != .closed, phase != .paused else { return [] }
        let wasConnected = phase == .connected
        let flushes = forgetConnection()
        var actions: [CoreAction] = [.disconnect]
        if !flushes.isEmpty { actions.append(.answer(flushes, .notConnected)) }
        if wasConnected {
            if let reason, !reason.passes { actions.append(.emit(.refused(reason))) }
            actions.append(.emit(.disconnected))
            round = 0
        } else if let reason, !reason.passes, shutOut != reason {
            // Told once, not with every attempt.
            shutOut = reason
            actions.append(.emit(.shutOut(reason)))
        }
        phase = .paused
        isFirstAttempt = false
        let isRoundOver = servers.isRoundOver || wasConnected
        let pause = isRoundOver ? options.reconnectDelay(attempt: max(1, round), random: random.unit) : .zero
        phaseDeadline = now + pause
        return actions
    }

    /// - Returns: who waited for an answer.
    mutating func forgetConnection() -> [UInt64] {
        let flushes = pongs.flatMap(\.flushes) + waitingFlushes
        pongs = []
        waitingFlushes = []
        commands.removeAll()
        subscribingFrom = nil
        subscriptions.release(subscriptions.retiredCount)
        pingDeadline = nil
        silentLooks = 0
        isHeard = false
        return flushes
    }
}

extension NATSError {
    /// Whether waiting alone may help, so that there is nothing to tell anybody.
    fileprivate var passes: Bool { code == .notConnected || code == .timeout }
}

extension CoreRandom {
    /// In 0..<1.
    fileprivate var unit: Double {
        mutating get { Double.random(in: 0..<1, using: &self) }
    }
}
