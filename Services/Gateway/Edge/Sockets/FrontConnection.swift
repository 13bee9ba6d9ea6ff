internal import GatewaySession
internal import GatewayWire
internal import Glibc
internal import NIOHTTP1
internal import Reactor

/// What an accepted connection can become.
struct FrontDesk: Sendable {
    let routes: SocketRoutes
    let http: HTTPConnections

    /// Begins with a connection that was just accepted, on its loop.
    func receive(_ descriptor: Int32, _ loop: EdgeLoop) {
        switch loop.admission.entered() {
        case .serve: FrontConnection(descriptor, loop, self, isExcess: false).begin()
        case .refuse: FrontConnection(descriptor, loop, self, isExcess: true).begin()
        case .drop:
            Glibc.close(descriptor)
            loop.admission.left()
        }
    }
}

/// A connection that has not said what it wants: reads the head of its first request and gives it to whoever serves it.
///
/// WebSockets stay on the loop; everything else goes to the HTTP server, with what has come of it. Whoever does not send a
/// head in time is closed.
final class FrontConnection: ReactorHandler {
    private let loop: EdgeLoop
    private let desk: FrontDesk
    private var socket: SocketEnd
    private var received: [UInt8] = []
    /// One connection more than the gateway serves: it is told so once its request can be answered.
    private let isExcess: Bool
    let deadline: ContinuousClock.Instant

    var descriptor: Int32 { socket.descriptor }

    init(_ descriptor: Int32, _ loop: EdgeLoop, _ desk: FrontDesk, isExcess: Bool) {
        socket = SocketEnd(descriptor: descriptor)
        self.loop = loop
        self.desk = desk
        self.isExcess = isExcess
        // Those that are too many anyway are waited for a moment only.
        let time = isExcess ? min(loop.limits.connectTimeout, .seconds(1)) : loop.limits.connectTimeout
        deadline = .now + time
    }

    func begin() {
        guard loop.reactor.watch(descriptor, for: .reading, self) else { return socket.close(loop) }
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
        if isExcess {
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
