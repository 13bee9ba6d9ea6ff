internal import GatewaySession
internal import GatewayWire
internal import Reactor
internal import Synchronization

/// What a long-polling client is answered: always with HTTP status 200, so that the status stands in the body.
struct LongPollAnswer: Sendable, Equatable {
    var status: Int
    /// Frames, each to be sent as a text.
    var messages: [[UInt8]] = []

    static let ok = LongPollAnswer(status: 200)
    /// The time is over and there was nothing.
    static let nothing = LongPollAnswer(status: 204)
    static let badRequest = LongPollAnswer(status: 400)
    static let forbidden = LongPollAnswer(status: 403)
    /// There is no such session, or none any more; a client opens another.
    static let gone = LongPollAnswer(status: 410)
    /// The gateway leaves; a client tries again.
    static let leaving = LongPollAnswer(status: 500)
}

/// The transport of a long-polling client: what the shard writes waits here for the next poll, or goes out with one that
/// waits.
///
/// Thread-safe: polls may come on any thread. Bounded by the shard, which looks at ``outstandingBytes`` before it writes,
/// and ended by its beats when no poll comes for two of them.
final class LongPollSession: Transport, Sendable {
    typealias Answer = @Sendable (LongPollAnswer) -> Void

    private struct State {
        var connection: ConnectionID?
        var messages: [[UInt8]] = []
        var bytes = 0
        var isOpened = false
        var isEnded = false
        var poll: Poll?
        var lastPoll: UInt64 = 0
    }

    private struct Poll {
        let number: UInt64
        let answer: Answer
    }

    let token: LongPollToken
    private let reactor: Reactor
    private let shard: Shard
    private let window: Duration
    /// Called when it has ended.
    private let onEnd: @Sendable (LongPollSession) -> Void
    private let state = Mutex(State())

    /// So much goes out with one poll; it fits into a message between gateways. What is more waits for the next.
    static let answerBytes = 262_144

    init(
        token: LongPollToken, reactor: Reactor, shard: Shard, window: Duration,
        onEnd: @escaping @Sendable (LongPollSession) -> Void
    ) {
        self.token = token
        self.reactor = reactor
        self.shard = shard
        self.window = window
        self.onEnd = onEnd
    }

    // MARK: The client's side

    /// Opens the connection.
    /// - Returns: whether the client is let in.
    func open(_ codec: any WireProtocol, _ protocolID: WireProtocolID, authorization: String?, trace: TraceContext?)
        async -> Bool
    {
        await shard.openLongPoll(self, codec, protocolID, authorization: authorization, trace: trace)
        return state.withLock { $0.isOpened && !$0.isEnded }
    }

    fileprivate func began(_ connection: ConnectionID) { state.withLock { $0.connection = connection } }

    /// Answers with what waits, or when something comes, or when the window is over.
    ///
    /// One poll waits at a time; a client that polls again has given up the earlier one.
    func poll(_ answer: @escaping Answer) {
        onConnection { shard, connection in shard.heard(connection) }
        let (replaced, ready, number) = state.withLock { state -> (Poll?, LongPollAnswer?, UInt64) in
            let replaced = state.poll
            state.poll = nil
            if !state.messages.isEmpty { return (replaced, LongPollSession.take(&state), 0) }
            if state.isEnded { return (replaced, .gone, 0) }
            state.lastPoll += 1
            state.poll = Poll(number: state.lastPoll, answer: answer)
            return (replaced, nil, state.lastPoll)
        }
        replaced?.answer(.nothing)
        if let ready { return give(ready, answer) }
        reactor.execute { [weak self, reactor, window] in
            // A poll that was answered before has another number than the one that waits then.
            reactor.schedule(after: window) { self?.windowEnded(number) }
        }
    }

    private func windowEnded(_ number: UInt64) {
        let poll = state.withLock { state -> Poll? in
            guard state.poll?.number == number else { return nil }
            defer { state.poll = nil }
            return state.poll
        }
        poll?.answer(.nothing)
    }

    /// Takes frames that the client pushed; answers when they were read.
    func push(_ frames: [[UInt8]], _ answer: @escaping Answer) {
        guard !state.withLock({ $0.isEnded }) else { return answer(.gone) }
        onConnection { shard, connection in
            for frame in frames { shard.receive(frame, from: connection) }
            answer(.ok)
        }
    }

    /// What the client sent is against the rules of the transport.
    func violated(_ disconnect: Disconnect) {
        onConnection { shard, connection in shard.violated(connection, disconnect) }
    }

    private func give(_ messages: LongPollAnswer, _ answer: Answer) {
        answer(messages)
        onConnection { shard, connection in shard.becameWritable(connection) }
    }

    /// Runs `body` on the shard's loop soon, in the order of the calls.
    private func onConnection(_ body: @escaping @Sendable (isolated Shard, ConnectionID) -> Void) {
        reactor.execute { [self] in
            guard let connection = state.withLock({ $0.connection }) else { return }
            shard.assumeIsolated { body($0, connection) }
        }
    }

    // MARK: The shard's side

    func write(_ bytes: [UInt8]) {
        state.withLock { state in
            guard !state.isEnded else { return }
            state.messages.append(bytes)
            state.bytes += bytes.count
        }
    }

    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }

    func flush() {
        let (poll, ready) = state.withLock { state -> (Poll?, LongPollAnswer?) in
            guard !state.messages.isEmpty, let poll = state.poll else { return (nil, nil) }
            state.poll = nil
            return (poll, LongPollSession.take(&state))
        }
        if let poll, let ready { give(ready, poll.answer) }
    }

    var outstandingBytes: Int { state.withLock { $0.bytes } }

    func start() { state.withLock { $0.isOpened = true } }

    /// A poll that waits is a sign of life.
    func ping() {
        guard state.withLock({ $0.poll != nil }) else { return }
        onConnection { shard, connection in shard.heard(connection) }
    }

    func close(_ disconnect: Disconnect) {
        let (poll, rest) = state.withLock { state -> (Poll?, LongPollAnswer) in
            state.isEnded = true
            defer { state.poll = nil }
            return (state.poll, state.messages.isEmpty ? .gone : LongPollSession.take(&state))
        }
        poll?.answer(rest)
        onEnd(self)
        onConnection { shard, connection in shard.closed(connection) }
    }

    private static func take(_ state: inout State) -> LongPollAnswer {
        var count = 0
        var bytes = 0
        for message in state.messages {
            guard count == 0 || bytes + message.count <= answerBytes else { break }
            count += 1
            bytes += message.count
        }
        defer {
            state.messages.removeFirst(count)
            state.bytes -= bytes
        }
        return LongPollAnswer(status: 200, messages: Array(state.messages.prefix(count)))
    }
}

extension Shard {
    /// Opens a connection for a long-polling client.
    fileprivate func openLongPoll(
        _ session: LongPollSession, _ codec: any WireProtocol, _ protocolID: WireProtocolID, authorization: String?,
        trace: TraceContext?
    ) {
        let id = open(protocolID, codec: codec, manner: .handshake, transport: session, trace: trace)
        session.began(id)
        openAddress(id, token: authorization, channels: [], cursor: nil)
    }
}
