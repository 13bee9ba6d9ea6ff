internal import Glibc
internal import Reactor
internal import TLS

/// Our end of an accepted connection: its descriptor, its TLS session if it has one, and what waits to be written to it.
///
/// A part of the handler that owns it, so that a connection is one object. Belongs to the handler's loop. What waits is
/// bounded by the shard, which looks at ``queuedBytes`` before it has more written.
struct SocketEnd {
    /// -1 once it is closed or somebody else's.
    private(set) var descriptor: Int32
    private var session: TLSSession?
    private var queue = OutboundQueue()
    /// The kernel takes no more for now; the loop tells when it does.
    private(set) var isBlocked = false
    /// Nothing can be written any more. The loop tells the handler that the connection has gone.
    private(set) var isBroken = false
    /// What the client sends is left where it is.
    private var isPaused = false
    private var crossing = Crossing.none
    /// What the loop tells of.
    private var armed = Readiness.reading

    /// TLS may have to write before it can read on, or the reverse.
    private enum Crossing {
        case none
        case readWaitsForRoom
        case writeWaitsForInput
    }

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Everything goes through a session whose handshake is done.
    mutating func secure(with session: TLSSession) { self.session = session }

    var isSecure: Bool { session != nil }

    /// What came of a look at what the client has sent.
    enum Received: Equatable {
        case bytes(Int)
        case nothing
        /// The client sends no more, or has gone.
        case end
    }

    // MARK: In

    /// What the handler has to do when it is told `readiness`: ``flush(_:)`` if there is room, ``receive(_:)`` if there is
    /// input.
    mutating func told(_ readiness: Readiness) -> Readiness {
        guard crossing != .none else { return readiness }
        crossing = .none
        return readiness.union([.reading, .writing])
    }

    /// Stops receiving, or begins again: what a client sends while it is not served stays in the kernel, until that is full.
    mutating func pause(_ isPaused: Bool, _ loop: EdgeLoop) {
        self.isPaused = isPaused
        listen(loop)
    }

    private mutating func listen(_ loop: EdgeLoop) {
        var wanted: Readiness = []
        if !isPaused || crossing == .writeWaitsForInput { wanted.insert(.reading) }
        if isBlocked, crossing != .writeWaitsForInput { wanted.insert(.writing) }
        guard wanted != armed, descriptor >= 0 else { return }
        armed = wanted
        loop.reactor.change(descriptor, to: wanted)
    }

    /// Takes what has come, as much as fits into the loop's buffer; the loop tells again if there is more.
    mutating func receive(_ loop: EdgeLoop) -> Received {
        guard let session else { return read(loop) }
        // Has room for a whole record: nothing that was decrypted stays where the loop does not see it.
        switch session.read(into: UnsafeMutableRawBufferPointer(loop.inbound)) {
        case .bytes(let count): return .bytes(count)
        case .wantsRead: return .nothing
        case .wantsWrite:
            block(.readWaitsForRoom, loop)
            return .nothing
        case .end, .failed: return .end
        }
    }

    private func read(_ loop: EdgeLoop) -> Received {
        while true {
            let count = Glibc.read(descriptor, loop.inbound.baseAddress, loop.inbound.count)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .end
            }
        }
    }

    // MARK: Out

    /// What waits here; not what the kernel holds.
    var queuedBytes: Int { queue.count }

    /// Queues bytes before all others; for those that have not begun to send.
    mutating func prepend(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !isBroken else { return }
        queue.prepend(.bytes(bytes))
    }

    /// Queues bytes; ``flush(_:)`` sends them.
    mutating func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !isBroken else { return }
        queue.append(.bytes(bytes))
    }

    /// Queues a message as a text frame.
    mutating func append(text message: [UInt8]) {
        if !isBroken { queue.append(.text(message)) }
    }

    /// Hands to the kernel what waits, as much as it takes. Small pieces leave together in one call of the system, or one
    /// record of TLS: a call for each costs ten times as much as all the rest.
    mutating func flush(_ loop: EdgeLoop) {
        while !queue.isEmpty {
            switch session.map({ write($0, loop) }) ?? send(loop) {
            case .took(let count): queue.consume(count)
            case .again: continue
            case .blocked: return block(.none, loop)
            case .blockedByInput: return block(.writeWaitsForInput, loop)
            case .failed: return discard()
            }
        }
        guard isBlocked else { return }
        isBlocked = false
        listen(loop)
    }

    private enum Sent {
        case took(Int)
        case again
        case blocked
        case blockedByInput
        case failed
    }

    private func send(_ loop: EdgeLoop) -> Sent {
        let count =
            queue.withFront(atLeast: loop.outbound.count / 2, send)
            ?? send(UnsafeRawBufferPointer(rebasing: loop.outbound[..<queue.gather(into: loop.outbound)]))
        guard count < 0 else { return .took(count) }
        switch errno {
        case EINTR: return .again
        case EAGAIN: return .blocked
        default: return .failed
        }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// What was not taken is encrypted all the same: the next call must begin with the same bytes, and have no fewer. So
    /// each has as many as there are, up to a record.
    private func write(_ session: TLSSession, _ loop: EdgeLoop) -> Sent {
        let outcome =
            queue.withFront(atLeast: TLSSession.maximumRecordBytes) { session.write($0) }
            ?? session.write(UnsafeRawBufferPointer(rebasing: loop.outbound[..<gatherRecord(loop.outbound)]))
        switch outcome {
        case .bytes(let count): return .took(count)
        case .wantsWrite: return .blocked
        case .wantsRead: return .blockedByInput
        case .end, .failed:
            // The kernel does not know that nothing can be sent any more; this way it tells the handler.
            shutdown(descriptor, Int32(SHUT_RDWR))
            return .failed
        }
    }

    /// - Returns: how many bytes it comes to.
    private func gatherRecord(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        queue.gather(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<TLSSession.maximumRecordBytes]))
    }

    private mutating func block(_ crossing: Crossing, _ loop: EdgeLoop) {
        isBlocked = true
        self.crossing = crossing
        listen(loop)
    }

    private mutating func discard() {
        isBroken = true
        queue.removeAll()
    }

    // MARK: End

    /// Tells the client that nothing more comes. What waits is not sent any more.
    func endWriting() {
        session?.endWriting()
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Gives the connection, with what waits, to another owner; nothing can be written here any more.
    mutating func handOver() -> SocketEnd {
        let socket = self
        discard()
        session = nil
        descriptor = -1
        return socket
    }

    /// Closes the descriptor; what waits is thrown away. Doing it twice is harmless.
    mutating func close(_ loop: EdgeLoop) {
        guard descriptor >= 0 else { return }
        loop.reactor.unwatch(descriptor)
        session?.endWriting()
        session = nil
        Glibc.close(descriptor)
        descriptor = -1
        discard()
        loop.admission.left()
    }
}
