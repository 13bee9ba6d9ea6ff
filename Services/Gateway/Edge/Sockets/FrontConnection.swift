internal import GatewaySession
internal import GatewayWire
internal import Glibc
internal import NIOHTTP1
internal import Reactor

/// What an accepted connection can become.
struct FrontDesk: Sendable {
    let routes: SocketRoutes
    let http: HTTPConnections
    /// Nil where nothing is encrypted.
    let tls: TLSAcceptor?

    /// Begins with a connection that was just accepted, on its loop.
    func receive(_ descriptor: Int32, _ loop: EdgeLoop) {
        let verdict = loop.admission.entered()
        guard verdict != .drop else {
            Glibc.close(descriptor)
            return loop.admission.left()
        }
        let isExcess = verdict == .refuse
        // Those that are too many anyway are waited for a moment only.
        let time = isExcess ? min(loop.limits.connectTimeout, .seconds(1)) : loop.limits.connectTimeout
        let arrival = Arrival(deadline: .now + time, isExcess: isExcess)
        let socket = SocketEnd(descriptor: descriptor)
        guard let tls else { return FrontConnection(socket, arrival, loop, self).begin() }
        TLSGreeting.begin(socket, arrival, tls, loop, self)
    }

    /// What is known of a connection before it has said anything.
    struct Arrival {
        /// When it must have said what it wants.
        let deadline: ContinuousClock.Instant
        /// One connection more than the gateway serves: it is told so once its request can be answered.
        let isExcess: Bool
    }
}

/// A connection that has not said what it wants: reads the head of its first request and gives it to whoever serves it.
///
/// WebSockets stay on the loop; everything else goes to the HTTP server, with what has come of it. Whoever does not send a
/// head in time is closed.
final class FrontConnection: ReactorHandler, UndecidedConnection {
    private let loop: EdgeLoop
    private let desk: FrontDesk
    private var socket: SocketEnd
    private var received: [UInt8] = []
    private let arrival: FrontDesk.Arrival

    var descriptor: Int32 { socket.descriptor }
    var deadline: ContinuousClock.Instant { arrival.deadline }

    init(_ socket: SocketEnd, _ arrival: FrontDesk.Arrival, _ loop: EdgeLoop, _ desk: FrontDesk) {
        self.socket = socket
        self.arrival = arrival
        self.loop = loop
        self.desk = desk
    }

    /// Begins with a connection that nobody watches yet.
    func begin() {
        guard loop.reactor.watch(descriptor, for: .reading, self) else { return socket.close(loop) }
        loop.wait(for: self)
    }

    /// Takes a connection over from its handler.
    func takeOver() {
        loop.reactor.replaceHandler(of: descriptor, with: self)
        loop.wait(for: self)
    }

    func timedOut() {
        loop.admission.count(.connectTimeout)
        close()
    }

    func close() {
        loop.decided(self)
        socket.close(loop)
    }

    func ready(_ readiness: Readiness) {
        let readiness = socket.told(readiness)
        if readiness.contains(.writing) { socket.flush(loop) }
        guard readiness.contains(.reading) else { return }
        switch socket.receive(loop) {
        case .nothing: break
        case .end: close()
        case .bytes(let count):
            received.append(contentsOf: loop.inbound[..<count])
            decide()
        }
    }

    // MARK: Deciding

    private func decide() {
        guard let lineEnd = received.firstIndex(of: 0x0A) else {
            if received.count > RequestHead.maximumBytes { close() }
            return
        }
        let isSocket = SocketRoutes.isSocketRoute(received[..<lineEnd])
        guard let end = FrontConnection.headEnd(received) else {
            let maximum = isSocket ? RequestHead.maximumBytes : RequestHead.maximumBytesOfHTTP
            if received.count > maximum { refuse(status: 431, reason: "the request's head is too large") }
            return
        }
        if arrival.isExcess {
            loop.admission.count(.connections)
            return refuse(
                status: 503, reason: "this gateway has as many connections as it serves; try again",
                extraHeaders: "Retry-After: 5\r\n")
        }
        guard isSocket else { return serveHTTP() }
        do throws(RequestHead.Invalid) {
            let head = try RequestHead(parsing: Array(received[..<end]))
            // A page's code that is out of date asks for these addresses without an upgrade; it is told by HTTP.
            serveSocket(head, rest: received[end...])
        } catch {
            refuse(status: error.status, reason: error.reason)
        }
    }

    /// The length of the head with the empty line that ends it.
    static func headEnd(_ bytes: [UInt8]) -> Int? {
        var start = 0
        while let newline = bytes[start...].firstIndex(of: 0x0A) {
            let next = newline + 1
            guard next < bytes.count else { return nil }
            if bytes[next] == 0x0A { return next + 1 }
            if bytes[next] == 0x0D, next + 1 < bytes.count, bytes[next + 1] == 0x0A { return next + 2 }
            start = next
        }
        return nil
    }

    private func serveHTTP() {
        loop.decided(self)
        if socket.isSecure { return TLSRelay.begin(socket.handOver(), received: received, desk.http, loop) }
        loop.reactor.unwatch(descriptor)
        desk.http.serve(socket.handOver().descriptor, received: received)
    }

    private func serveSocket(_ head: RequestHead, rest: ArraySlice<UInt8>) {
        switch desk.routes.outcome(of: head) {
        case .refuse(let status, let reason, let extraHeaders):
            refuse(status: status, reason: reason, extraHeaders: extraHeaders)
        case .serve(let service, let response):
            loop.decided(self)
            received = []
            service.begin(socket.handOver(), response: response, rest: Array(rest), loop)
        }
    }

    private func refuse(status: Int, reason: String, extraHeaders: String = "") {
        loop.decided(self)
        let text = FrontConnection.refusal(status: status, reason: reason, extraHeaders: extraHeaders)
        Farewell.bid(socket.handOver(), words: Array(text.utf8), loop)
    }

    static func refusal(status: Int, reason: String, extraHeaders: String = "") -> String {
        let body = "{\"error\":{\"code\":\(status),\"message\":\"\(reason)\"}}"
        return "HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n\(extraHeaders)"
            + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + (extraHeaders.contains("Connection:") ? "" : "Connection: close\r\n") + "\r\n" + body
    }
}
