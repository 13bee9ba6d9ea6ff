internal import GatewaySession
internal import Glibc
internal import Logging
internal import Reactor
internal import TLS

/// What encrypted connections begin with.
struct TLSAcceptor: Sendable {
    let context: TLSContext
    let metrics: TLSHandshakeMetrics
    let logger: Logger
}

/// A connection in its TLS handshake; when that is done it is a ``FrontConnection``, with what is left of its time.
///
/// A client that speaks HTTP without TLS is told so in its own language.
final class TLSGreeting: ReactorHandler, UndecidedConnection {
    private let loop: EdgeLoop
    private let desk: FrontDesk
    private let acceptor: TLSAcceptor
    private let arrival: FrontDesk.Arrival
    private let session: TLSSession
    /// Not through the session: as long as the handshake lasts there is nothing to send through it.
    private var socket: SocketEnd
    private var hasSpoken = false
    private var awaited = Readiness.reading

    var descriptor: Int32 { socket.descriptor }
    var deadline: ContinuousClock.Instant { arrival.deadline }

    private init(
        _ socket: SocketEnd, _ session: TLSSession, _ arrival: FrontDesk.Arrival, _ acceptor: TLSAcceptor,
        _ loop: EdgeLoop, _ desk: FrontDesk
    ) {
        self.socket = socket
        self.session = session
        self.arrival = arrival
        self.acceptor = acceptor
        self.loop = loop
        self.desk = desk
    }

    /// Begins with a connection that nobody watches yet.
    static func begin(
        _ socket: SocketEnd, _ arrival: FrontDesk.Arrival, _ acceptor: TLSAcceptor, _ loop: EdgeLoop, _ desk: FrontDesk
    ) {
        var socket = socket
        guard let session = acceptor.context.makeSession(on: socket.descriptor) else { return socket.close(loop) }
        let greeting = TLSGreeting(socket, session, arrival, acceptor, loop, desk)
        guard loop.reactor.watch(socket.descriptor, for: .reading, greeting) else { return socket.close(loop) }
        loop.wait(for: greeting)
    }

    func timedOut() {
        loop.admission.count(.connectTimeout)
        note(.timeout, "the handshake took longer than gateway.limits.connect_timeout")
        close()
    }

    func close() {
        loop.decided(self)
        socket.close(loop)
    }

    func ready(_ readiness: Readiness) {
        guard hasSpoken || hearFirstByte() else { return }
        switch session.handshake() {
        case .done: proceed()
        case .wantsRead: wait(for: .reading)
        case .wantsWrite: wait(for: .writing)
        case .failed(let failure):
            note(.failed(failure.kind), failure.reason)
            // An alert that says why may be on its way: closing at once could overtake it.
            if failure.kind == .gone { close() } else { leave(words: []) }
        }
    }

    /// - Returns: whether it may be TLS. A request without it begins with a method; records of a handshake never do.
    private func hearFirstByte() -> Bool {
        var byte: UInt8 = 0
        guard recv(descriptor, &byte, 1, Int32(MSG_PEEK)) == 1 else {
            // The session finds out whether the client has gone.
            return true
        }
        hasSpoken = true
        guard (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) else { return true }
        note(.plainHTTP, "a request without TLS")
        let text = FrontConnection.refusal(status: 400, reason: "this address speaks TLS: use https:// or wss://")
        leave(words: Array(text.utf8))
        return false
    }

    private func wait(for readiness: Readiness) {
        guard readiness != awaited else { return }
        awaited = readiness
        loop.reactor.change(descriptor, to: readiness)
    }

    private func proceed() {
        note(.done, nil)
        wait(for: .reading)
        loop.decided(self)
        var socket = socket.handOver()
        socket.secure(with: session)
        FrontConnection(socket, arrival, loop, desk).takeOver()
    }

    private func leave(words: [UInt8]) {
        wait(for: .reading)
        loop.decided(self)
        Farewell.bid(socket.handOver(), words: words, loop)
    }

    private func note(_ outcome: TLSHandshakeMetrics.Outcome, _ reason: String?) {
        acceptor.metrics.count(outcome)
        guard let reason else { return }
        acceptor.logger.debug(
            "a TLS handshake failed", metadata: ["kind": "\(outcome.label)", "reason": "\(reason)"])
    }
}
