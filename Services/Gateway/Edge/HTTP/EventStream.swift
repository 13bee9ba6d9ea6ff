internal import GatewaySession
internal import GatewayWire
internal import NIOCore
internal import Synchronization

/// The transport of an event stream: what the shard writes on its loop is taken by the response's task.
///
/// Bounded by the shard, which looks at ``outstandingBytes`` before it writes.
final class EventStream: Transport, Sendable {
    private struct State {
        /// Written and not yet handed on.
        var queued = ByteBuffer()
        /// Written and not yet taken by the client's side of the socket.
        var outstanding = 0
        var isEnded = false
        var opening: Opening = .pending(nil)
        var reader: CheckedContinuation<ByteBuffer?, Never>?
        var onWritable: (@Sendable () -> Void)?
    }

    private enum Opening {
        case pending(CheckedContinuation<Disconnect?, Never>?)
        case started
        case refused(Disconnect)
    }

    private let state = Mutex(State())

    /// Called when a client that was slow has taken what waited.
    var onWritable: (@Sendable () -> Void)? {
        get { state.withLock { $0.onWritable } }
        set { state.withLock { $0.onWritable = newValue } }
    }

    // MARK: The shard's side

    func write(_ bytes: [UInt8]) {
        state.withLock { state in
            guard !state.isEnded else { return }
            state.queued.writeBytes(bytes)
            state.outstanding += bytes.count
        }
    }

    func write(_ frame: SharedFrame) { write(frame.bytes) }

    func flush() {
        let (reader, buffer) = state.withLock { state -> (CheckedContinuation<ByteBuffer?, Never>?, ByteBuffer?) in
            guard state.queued.readableBytes > 0, let reader = state.reader else { return (nil, nil) }
            state.reader = nil
            return (reader, EventStream.take(&state))
        }
        reader?.resume(returning: buffer)
    }

    var outstandingBytes: Int { state.withLock { $0.outstanding } }

    func start() {
        let waiter = state.withLock { state -> CheckedContinuation<Disconnect?, Never>? in
            guard case .pending(let waiter) = state.opening else { return nil }
            state.opening = .started
            return waiter
        }
        waiter?.resume(returning: nil)
    }

    func ping() {}

    func close(_ disconnect: Disconnect) {
        let (waiter, reader, rest) = state.withLock { state in
            state.isEnded = true
            var waiter: CheckedContinuation<Disconnect?, Never>?
            if case .pending(let pending) = state.opening {
                waiter = pending
                state.opening = .refused(disconnect)
            }
            let reader = state.reader
            state.reader = nil
            let rest = reader != nil && state.queued.readableBytes > 0 ? EventStream.take(&state) : nil
            return (waiter, reader, rest)
        }
        waiter?.resume(returning: disconnect)
        reader?.resume(returning: rest)
    }

    // MARK: The response's side

    /// Waits until the session has everything it needs.
    /// - Returns: why it is refused, or nil.
    func opening() async -> Disconnect? {
        await withCheckedContinuation { continuation in
            let answer: Disconnect?? = state.withLock { state in
                switch state.opening {
                case .pending:
                    state.opening = .pending(continuation)
                    return nil
                case .started: return .some(nil)
                case .refused(let disconnect): return .some(disconnect)
                }
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// What waits to be sent; nil at the end.
    func next() async -> ByteBuffer? {
        await withCheckedContinuation { continuation in
            let answer: ByteBuffer?? = state.withLock { state in
                if state.queued.readableBytes > 0 { return EventStream.take(&state) }
                if state.isEnded { return .some(nil) }
                state.reader = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// The socket has taken so many bytes.
    func wrote(_ count: Int) {
        let notify = state.withLock { state in
            state.outstanding -= count
            return state.outstanding == 0 ? state.onWritable : nil
        }
        notify?()
    }

    /// The client has gone.
    func abandon() { close(.shutdown) }

    private static func take(_ state: inout State) -> ByteBuffer {
        defer { state.queued = ByteBuffer() }
        return state.queued
    }
}

extension Shard {
    /// Opens a connection for an event stream.
    func openEventStream(_ stream: EventStream, token: String?, channels: [SubscribeCommand], trace: TraceContext?)
        -> ConnectionID
    {
        let id = open(
            .serverSentEvents, codec: ServerSentEvents(), manner: .address, transport: stream, trace: trace)
        openAddress(id, token: token, channels: channels, cursor: ChannelCursor())
        return id
    }
}
