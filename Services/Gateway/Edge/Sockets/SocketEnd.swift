internal import DequeModule
internal import Glibc
internal import Reactor

/// Our end of an accepted connection: its descriptor, and what waits to be written to it.
///
/// A part of the handler that owns it, so that a connection is one object. Belongs to the handler's loop. What waits is
/// bounded by the shard, which looks at ``queuedBytes`` before it has more written.
struct SocketEnd {
    /// -1 once it is closed or somebody else's.
    private(set) var descriptor: Int32
    private var queue = Deque<[UInt8]>()
    /// How much of the first piece the kernel has taken.
    private var offset = 0
    /// What waits here; not what the kernel holds.
    private(set) var queuedBytes = 0
    /// The kernel takes no more for now; the loop tells when it does.
    private(set) var isBlocked = false
    /// Nothing can be written any more. The loop tells the handler that the connection has gone.
    private(set) var isBroken = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// What came of a look at what the client has sent.
    enum Received: Equatable {
        case bytes(Int)
        case nothing
        /// The client sends no more, or has gone.
        case end
    }

    // MARK: In

    /// Takes what has come, as much as fits into the loop's buffer; the loop tells again if there is more.
    func receive(_ loop: EdgeLoop) -> Received {
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

    /// Queues bytes before all others; for those that have not begun to send.
    mutating func prepend(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !isBroken else { return }
        queue.prepend(bytes)
        queuedBytes += bytes.count
    }

    /// Queues bytes; ``flush(_:)`` sends them.
    mutating func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, !isBroken else { return }
        queue.append(bytes)
        queuedBytes += bytes.count
    }

    /// Hands to the kernel what waits, as much as it takes. Small pieces leave together in one call of the system: a call
    /// for each costs ten times as much as all the rest.
    mutating func flush(_ loop: EdgeLoop) {
        while let first = queue.first {
            let count =
                queue.count == 1 || first.count - offset >= loop.outbound.count / 2
                ? send(first) : send(gathered: loop.outbound)
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: return block(loop)
                default: return discard()
                }
            }
            took(count)
        }
        queue = Deque()
        guard isBlocked else { return }
        isBlocked = false
        loop.reactor.change(descriptor, to: .reading)
    }

    private func send(_ piece: [UInt8]) -> Int {
        piece.withUnsafeBytes { bytes in
            Glibc.send(
                descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset, Int32(MSG_NOSIGNAL))
        }
    }

    private func send(gathered buffer: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        var start = offset
        for piece in queue {
            let length = piece.count - start
            guard length <= buffer.count - count else { break }
            piece.withUnsafeBytes { bytes in
                buffer[count..<(count + length)].copyBytes(from: bytes[start...])
            }
            count += length
            start = 0
        }
        return Glibc.send(descriptor, buffer.baseAddress, count, Int32(MSG_NOSIGNAL))
    }

    private mutating func took(_ count: Int) {
        queuedBytes -= count
        var remaining = count
        while remaining > 0, let first = queue.first {
            let length = first.count - offset
            guard remaining >= length else {
                offset += remaining
                return
            }
            remaining -= length
            offset = 0
            queue.removeFirst()
        }
    }

    private mutating func block(_ loop: EdgeLoop) {
        guard !isBlocked else { return }
        isBlocked = true
        loop.reactor.change(descriptor, to: [.reading, .writing])
    }

    private mutating func discard() {
        isBroken = true
        queue = Deque()
        queuedBytes = 0
    }

    // MARK: End

    /// Gives the connection, with what waits, to another owner; nothing can be written here any more.
    mutating func handOver() -> SocketEnd {
        let socket = self
        discard()
        descriptor = -1
        return socket
    }

    /// Closes the descriptor; what waits is thrown away. Doing it twice is harmless.
    mutating func close(_ loop: EdgeLoop) {
        guard descriptor >= 0 else { return }
        loop.reactor.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
        discard()
        loop.admission.left()
    }
}
