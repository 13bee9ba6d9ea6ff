internal import GatewaySession
internal import GatewayWire
internal import NIOCore
internal import Synchronization

/// The transport of an event stream: what the shard writes on its loop is taken by the response's task.
///
/// Bounded by the shard, which looks at ``outstandingBytes`` before it writes. The response's task takes it in pieces, so
/// that what it has handed to the socket and the client has not read is never much more than one of them.
final class EventStream: Transport, Sendable {
    private struct State {
        /// Written and not yet handed on. Bytes that many clients get are shared with them.
        var queued = CircularBuffer<[UInt8]>()
        /// Written and not yet taken by the client's side of the socket.
        var outstanding = 0
        /// More was outstanding than the shard likes; it waits to be told that there is room.
        var isFull = false
        var end: Disconnect?
        var reader: CheckedContinuation<ByteBuffer?, Never>?
        var onWritable: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let mark: WriteMark
    let opening = OpeningGate()

    /// How much the response's task takes at a time.
    static let pieceBytes = 32_768

    init(mark: WriteMark) { self.mark = mark }

    /// Called when a client that was slow has taken what waited.
    func onWritable(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onWritable = body } }

    // MARK: The shard's side

    func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        state.withLock { state in
            guard state.end == nil else { return }
            state.queued.append(bytes)
            state.outstanding += bytes.count
            if state.outstanding > mark.high { state.isFull = true }
        }
    }

    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }

    func flush() {
        let (reader, buffer) = state.withLock { state -> (CheckedContinuation<ByteBuffer?, Never>?, ByteBuffer?) in
            guard !state.queued.isEmpty, let reader = state.reader else { return (nil, nil) }
            state.reader = nil
            return (reader, EventStream.take(&state))
        }
        reader?.resume(returning: buffer)
    }

    var outstandingBytes: Int { state.withLock { $0.outstanding } }

    func start() { opening.start() }

    func ping() {}

    func close(_ disconnect: Disconnect) {
        let (reader, rest) = state.withLock { state -> (CheckedContinuation<ByteBuffer?, Never>?, ByteBuffer?) in
            guard state.end == nil else { return (nil, nil) }
            state.end = disconnect
            // A reader that does not read gets no more, and what waits for it is freed: it continues from the log.
            if disconnect == .slow, state.isFull, state.reader == nil { state.queued = CircularBuffer() }
            let reader = state.reader
            state.reader = nil
            return (reader, reader != nil && !state.queued.isEmpty ? EventStream.take(&state) : nil)
        }
        opening.end(disconnect)
        reader?.resume(returning: rest)
    }

    /// The client has gone: nobody takes what waits.
    func abandon() {
        let reader = state.withLock { state in
            state.end = state.end ?? .shutdown
            state.queued = CircularBuffer()
            defer { state.reader = nil }
            return state.reader
        }
        opening.end(.shutdown)
        reader?.resume(returning: nil)
    }

    // MARK: The response's side

    /// What waits to be sent; nil at the end.
    func next() async -> ByteBuffer? {
        await withCheckedContinuation { continuation in
            let answer: ByteBuffer?? = state.withLock { state in
                if !state.queued.isEmpty { return EventStream.take(&state) }
                if state.end != nil { return .some(nil) }
                state.reader = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Why it has ended; nil while it has not.
    var end: Disconnect? { state.withLock { $0.end } }

    /// The socket has taken so many bytes.
    func wrote(_ count: Int) {
        let notify = state.withLock { state -> (@Sendable () -> Void)? in
            state.outstanding -= count
            guard state.isFull, state.outstanding <= mark.low else { return nil }
            state.isFull = false
            return state.onWritable
        }
        notify?()
    }

    private static func take(_ state: inout State) -> ByteBuffer {
        var buffer = ByteBuffer()
        repeat {
            buffer.writeBytes(state.queued.removeFirst())
        } while buffer.readableBytes < pieceBytes
            && !state.queued.isEmpty
        return buffer
    }
}

/// Between which amounts a connection that waits to be written to counts as slow and as recovered.
struct WriteMark: Equatable {
    let low: Int
    let high: Int

    /// - Parameter outboundBytes: the bound on what may wait, 0 for none; the marks are below the half of it, where leaving
    ///   messages out begins.
    init(outboundBytes: Int) {
        high = outboundBytes > 0 ? max(1, min(65_536, outboundBytes / 2)) : 65_536
        low = high / 2
    }
}
