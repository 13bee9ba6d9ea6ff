internal import Events
internal import GatewaySession
internal import GatewayWire
internal import Reactor

/// One WebSocket: frames in one direction become calls of the shard, what the shard writes becomes frames in the other.
///
/// Everything here runs on the loop's thread, which is the shard's executor, so that calling the shard is a plain call. This
/// object, the session's and a descriptor are all that an idle connection is.
final class WebSocketConnection: ReactorHandler, Transport {
    /// How a connection begins once its handshake is done.
    enum Opening {
        case commands(any WireProtocol, WireProtocolID)
        /// What is published after the client's connect returns is not missed: the handshake is answered when the
        /// subscription is there.
        case address(any WireProtocol, WireProtocolID, token: String?, channels: [SubscribeCommand])
        /// The handshake is answered with 403 if the token is not good.
        case handshake(any WireProtocol, WireProtocolID, token: String?)
    }

    private enum State {
        case open
        /// A close frame was sent; only the client's is awaited.
        case closing
        case closed
    }

    /// The handshake's answer, while it is held back.
    private struct Held {
        var response: [UInt8]
        /// Whether a session that is refused is a handshake that is refused.
        var isRefusable: Bool
    }

    // What every message needs comes first, so that it lies together.
    private let loop: EdgeLoop
    private var state = State.open
    private let isCompressed: Bool
    /// More waits than a client that keeps up leaves; the shard waits to be told that there is room.
    private var isFull = false
    /// Unchecked: only the loop's thread touches it, and nothing that it calls comes back.
    @exclusivity(unchecked) private var socket: SocketEnd
    @exclusivity(unchecked) private var held: Held?
    private var id: ConnectionID?
    private var parser = WebSocketFrameParser()

    init(_ socket: SocketEnd, _ loop: EdgeLoop, isCompressed: Bool) {
        self.socket = socket
        self.loop = loop
        self.isCompressed = isCompressed
    }

    // MARK: Life

    func begin(_ opening: Opening, response: [UInt8], rest: [UInt8], trace: TraceContext?) {
        loop.reactor.replaceHandler(of: socket.descriptor, with: self)
        nonisolated(unsafe) let me = self
        switch opening {
        case .commands(let codec, let protocolID):
            socket.append(response)
            socket.flush(loop)
            id = loop.onShard {
                $0.open(protocolID, codec: codec, manner: .commands, transport: me, trace: trace)
            }
        case .address(let codec, let protocolID, let token, let channels):
            held = Held(response: response, isRefusable: false)
            let id = loop.onShard {
                $0.open(protocolID, codec: codec, manner: .address, transport: me, trace: trace)
            }
            self.id = id
            loop.onShard { $0.openAddress(id, token: token, channels: channels, cursor: nil) }
        case .handshake(let codec, let protocolID, let token):
            held = Held(response: response, isRefusable: true)
            let id = loop.onShard {
                $0.open(protocolID, codec: codec, manner: .handshake, transport: me, trace: trace)
            }
            self.id = id
            loop.onShard { $0.openAddress(id, token: token, channels: [], cursor: nil) }
        }
        if !rest.isEmpty { received(rest.span) }
    }

    /// The connection has gone, or is given up.
    private func end() {
        guard state != .closed else { return }
        state = .closed
        socket.close(loop)
        leaveShard()
    }

    private func leaveShard() {
        guard let id else { return }
        self.id = nil
        loop.onShard { $0.closed(id) }
    }

    // MARK: In

    func ready(_ readiness: Readiness) {
        let readiness = socket.told(readiness)
        if readiness.contains(.writing) {
            socket.flush(loop)
            tellIfWritable()
        }
        guard readiness.contains(.reading), state != .closed else { return }
        switch socket.receive(loop) {
        case .bytes(let count): received(UnsafeBufferPointer(rebasing: loop.inbound[..<count]).span)
        case .nothing: if readiness.contains(.hungUp) { end() }
        case .end: end()
        }
    }

    private func tellIfWritable() {
        guard isFull, socket.queuedBytes <= loop.mark.low, let id else { return }
        isFull = false
        loop.onShard { $0.becameWritable(id) }
    }

    private func received(_ bytes: Span<UInt8>) {
        guard let id else { return }
        let inputs: [WebSocketInput]
        do throws(WebSocketViolation) {
            inputs = try parser.feed(
                bytes, maximumMessageBytes: loop.limits.messageBytes,
                inflater: isCompressed ? loop.compressor.inflater : nil)
        } catch {
            guard state == .open else { return end() }
            let disconnect = Disconnect(code: error.code, reason: error.reason)
            sendClose(disconnect)
            return loop.onShard { $0.violated(id, disconnect) }
        }
        for input in inputs where state != .closed {
            switch input {
            case .text(let bytes), .binary(let bytes):
                if state == .open { loop.onShard { $0.receive(bytes, from: id) } }
            case .ping(let payload):
                loop.onShard { $0.heard(id) }
                // The answer to a ping is no reason to queue more for a client that does not read.
                if state == .open, held == nil, !isFull { send(.pong, payload) }
            case .pong: loop.onShard { $0.heard(id) }
            case .close(let code): clientCloses(code)
            }
        }
    }

    private func clientCloses(_ code: UInt16?) {
        if state == .open { socket.append(WebSocketFrameWriter.close(code: code ?? 1000, reason: "")) }
        state = .closed
        Farewell.bid(socket.handOver(), words: [], loop)
        leaveShard()
    }

    // MARK: Out

    private func send(_ kind: WebSocketFrameWriter.Kind, _ payload: [UInt8]) {
        socket.append(WebSocketFrameWriter.frame(kind, payload))
        socket.flush(loop)
    }

    func write(_ bytes: [UInt8]) {
        guard state == .open else { return }
        if isCompressed {
            socket.append(WebSocketFrameWriter.frame(.text, bytes, compressor: loop.compressor))
        } else {
            socket.append(text: bytes)
        }
        noteFullness()
    }

    /// Frames are made for the first connection that wants them in that form, and shared by all others. A single message
    /// needs no copy at all.
    func write(_ frame: SharedFrame) {
        guard state == .open else { return }
        if isCompressed {
            socket.append(compressed(frame))
        } else if frame.others.isEmpty {
            socket.append(text: frame.first)
        } else {
            socket.append(plain(frame))
        }
        noteFullness()
    }

    private func plain(_ frame: SharedFrame) -> [UInt8] {
        if let ready = frame.prepared { return ready }
        let made = WebSocketFrameWriter.frames(frame.first, frame.others, compressor: nil)
        frame.prepared = made
        return made
    }

    private func compressed(_ frame: SharedFrame) -> [UInt8] {
        if let ready = frame.preparedCompressed { return ready }
        let made = WebSocketFrameWriter.frames(frame.first, frame.others, compressor: loop.compressor)
        frame.preparedCompressed = made
        return made
    }

    private func noteFullness() {
        if socket.queuedBytes > loop.mark.high { isFull = true }
    }

    func flush() {
        // While the kernel takes no more, the loop says when it does.
        guard held == nil, !socket.isBlocked else { return }
        socket.flush(loop)
        guard isFull, socket.queuedBytes <= loop.mark.low, let id else { return }
        isFull = false
        // Not now: the shard is in the middle of writing.
        let shard = loop.shard
        loop.reactor.execute { shard.assumeIsolated { $0.becameWritable(id) } }
    }

    /// Exact; what is queued and not flushed is in it.
    var outstandingBytes: Int { socket.queuedBytes }

    func start() {
        guard let held else { return }
        self.held = nil
        socket.prepend(held.response)
        socket.flush(loop)
    }

    func ping() {
        if state == .open, held == nil { send(.ping, []) }
    }

    func close(_ disconnect: Disconnect) { sendClose(disconnect) }

    /// Sends a close frame and waits for the client's: closing at once could make the kernel throw away what the client
    /// has not read yet, the frame with the reason among it.
    private func sendClose(_ disconnect: Disconnect) {
        guard state == .open else { return }
        if let held, held.isRefusable { return refuse(disconnect) }
        // A close frame is read only after the handshake.
        start()
        state = .closing
        socket.append(WebSocketFrameWriter.close(code: disconnect.code, reason: disconnect.reason))
        socket.flush(loop)
        loop.reactor.schedule(after: Farewell.patience) { [weak self] in self?.end() }
    }

    /// Answers the handshake with the status that clients of such protocols look for.
    private func refuse(_ disconnect: Disconnect) {
        held = nil
        state = .closed
        let text = FrontConnection.refusal(status: 403, reason: disconnect.reason)
        Farewell.bid(socket.handOver(), words: Array(text.utf8), loop)
        // Not now: the shard is in the middle of its decision.
        let shard = loop.shard
        guard let id else { return }
        self.id = nil
        loop.reactor.execute { shard.assumeIsolated { $0.closed(id) } }
    }
}
