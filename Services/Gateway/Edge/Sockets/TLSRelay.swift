internal import Glibc
internal import Reactor

/// Joins an encrypted connection with the HTTP server, which reads and writes a descriptor: it gets one end of a pair of
/// sockets, and what goes into the other comes out there.
///
/// What waits is one record in one direction, and what one read takes in the other: no more is taken from a side before the
/// other has it. The end of what a side sends is passed on after it.
final class TLSRelay: ReactorHandler {
    /// Our end of the pair: the reactor has one handler for each descriptor.
    private final class Inside: ReactorHandler {
        let descriptor: Int32
        private let relay: TLSRelay
        private var armed = Readiness.reading
        /// The server has closed its end, of which the loop would tell again and again; what it has sent can be read.
        private var isHungUp = false

        init(_ descriptor: Int32, _ relay: TLSRelay) {
            self.descriptor = descriptor
            self.relay = relay
        }

        func ready(_ readiness: Readiness) {
            if readiness.contains(.hungUp) {
                isHungUp = true
                relay.loop.reactor.unwatch(descriptor)
            }
            relay.insideIsReady(readiness)
        }

        /// - Returns: whether the loop will tell.
        func listen(_ readiness: Readiness) -> Bool {
            guard !isHungUp else { return false }
            guard readiness != armed else { return true }
            armed = readiness
            relay.loop.reactor.change(descriptor, to: readiness)
            return true
        }

        func close() {
            if !isHungUp { relay.loop.reactor.unwatch(descriptor) }
            Glibc.close(descriptor)
        }
    }

    private let loop: EdgeLoop
    private var outside: SocketEnd
    private var inside: Inside?
    /// What came from the client and the server has not taken.
    private var inward: ArraySlice<UInt8> = []
    private var clientHasEnded = false
    private var serverHasEnded = false
    /// The server takes nothing more.
    private var isServerDeaf = false

    private init(_ outside: SocketEnd, _ loop: EdgeLoop) {
        self.outside = outside
        self.loop = loop
    }

    /// Takes a connection over from its handler, with what has come of it.
    static func begin(_ socket: SocketEnd, received: [UInt8], _ http: HTTPConnections, _ loop: EdgeLoop) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            let text = FrontConnection.refusal(status: 503, reason: "the gateway has no files left; try again")
            return Farewell.bid(socket, words: Array(text.utf8), loop)
        }
        let relay = TLSRelay(socket, loop)
        let inside = Inside(ends[0], relay)
        guard loop.reactor.watch(ends[0], for: .reading, inside) else {
            for end in ends { Glibc.close(end) }
            return relay.outside.close(loop)
        }
        relay.inside = inside
        loop.reactor.replaceHandler(of: socket.descriptor, with: relay)
        http.serve(ends[1], received: received, isCounted: false)
    }

    // MARK: The client

    func ready(_ readiness: Readiness) {
        // Reset, or given up by the kernel: nobody is there for what waits.
        guard !readiness.contains(.hungUp) else { return end() }
        let readiness = outside.told(readiness)
        if readiness.contains(.writing) { outside.flush(loop) }
        if readiness.contains(.reading), inward.isEmpty, !clientHasEnded { receive() }
        settle()
    }

    private func receive() {
        switch outside.receive(loop) {
        case .nothing: break
        case .end: clientHasEnded = true
        case .bytes(let count):
            let taken = send(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(loop.inbound)[..<count]))
            if !isServerDeaf, taken < count { inward = Array(loop.inbound[taken..<count])[...] }
        }
    }

    // MARK: The server

    private func insideIsReady(_ readiness: Readiness) {
        if !inward.isEmpty {
            inward = inward.dropFirst(inward.withUnsafeBytes { send($0) })
            // A slice keeps the whole array.
            if inward.isEmpty || isServerDeaf { inward = [] }
        }
        if readiness.contains(.reading), outside.queuedBytes == 0 { take() }
        settle()
    }

    /// - Returns: how many bytes the server has taken.
    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let inside, !isServerDeaf else { return 0 }
        let count = Glibc.send(inside.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        if count < 0, errno != EAGAIN, errno != EINTR { isServerDeaf = true }
        return max(0, count)
    }

    /// Passes on what the server has written, as much as one read takes.
    private func take() {
        guard let inside, !serverHasEnded else { return }
        let count = Glibc.read(inside.descriptor, loop.inbound.baseAddress, loop.inbound.count)
        if count > 0 {
            outside.append(Array(loop.inbound[..<count]))
            outside.flush(loop)
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            serverHasEnded = true
        }
    }

    // MARK: Both

    /// Decides what is waited for, and whether it is over.
    private func settle() {
        guard let inside else { return }
        while !outside.isBroken, outside.queuedBytes == 0, !serverHasEnded {
            if inside.listen(inward.isEmpty || isServerDeaf ? .reading : [.reading, .writing]) { break }
            // It has closed: nobody tells of what it has left.
            take()
        }
        if outside.isBroken { return end() }
        if serverHasEnded, outside.queuedBytes == 0 { return leave() }
        if outside.queuedBytes > 0 { _ = inside.listen(inward.isEmpty || isServerDeaf ? [] : .writing) }
        if clientHasEnded, inward.isEmpty, !isServerDeaf {
            shutdown(inside.descriptor, Int32(SHUT_WR))
            isServerDeaf = true
        }
        outside.pause(!inward.isEmpty || clientHasEnded || isServerDeaf, loop)
    }

    /// The server has said all that it will.
    private func leave() {
        inside?.close()
        inside = nil
        Farewell.bid(outside.handOver(), words: [], loop)
    }

    /// The client has gone: the server is told by the end of the pair.
    private func end() {
        inside?.close()
        inside = nil
        outside.close(loop)
    }
}
