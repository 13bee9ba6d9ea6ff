internal import Events
internal import GatewaySession
internal import GatewayWire
internal import NIOCore

/// One WebSocket: frames in one direction become calls of the shard, what the shard writes becomes frames in the other.
///
/// The last handler of its pipeline, on the shard's loop. Everything here runs there, so that calling the shard is a
/// plain call.
final class WebSocketConnection: ChannelInboundHandler, RemovableChannelHandler, Transport {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How a connection begins once its handshake is done.
    enum Opening {
        case commands(any WireProtocol, WireProtocolID)
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

    private let shard: Shard
    private let opening: Opening
    private let trace: TraceContext?
    private var parser: WebSocketFrameParser
    private var context: ChannelHandlerContext?
    private var id: ConnectionID?
    private var state = State.open
    /// The handshake's answer, for addresses: it goes out when the subscription is there, so that nothing that is
    /// published after a client's connect returns is missed.
    private var heldResponse: String?

    /// How long a client may take to answer a close frame.
    private static let closeTimeout = TimeAmount.seconds(2)

    private let mark: WriteMark
    private let compressor: LoopCompressor?

    /// - Parameters:
    ///   - compressor: of this connection's loop, if the client agreed to compressed messages.
    ///   - heldResponse: the answer to the handshake, if it is this handler's to send.
    init(
        shard: Shard, opening: Opening, limits: GatewayLimits, compressor: LoopCompressor?, heldResponse: String?,
        trace: TraceContext? = nil
    ) {
        self.trace = trace
        self.compressor = compressor
        mark = WriteMark(outboundBytes: limits.outboundBytes)
        self.heldResponse = heldResponse
        self.shard = shard
        self.opening = opening
        parser = WebSocketFrameParser(maximumMessageBytes: limits.messageBytes, inflater: compressor?.inflater)
    }

    /// Calls the shard, whose executor is this handler's loop.
    private func onShard<Value: Sendable>(_ body: (isolated Shard, WebSocketConnection) -> Value) -> Value {
        // Safe: both belong to the loop that this runs on, which `assumeIsolated` checks.
        nonisolated(unsafe) let me = self
        nonisolated(unsafe) let body = body
        return shard.assumeIsolated { body($0, me) }
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        try? context.channel.syncOptions?.setOption(
            .writeBufferWaterMark, value: ChannelOptions.Types.WriteBufferWaterMark(low: mark.low, high: mark.high))
        let opening = self.opening
        let trace = self.trace
        let id = onShard { shard, me in
            switch opening {
            case .commands(let codec, let protocolID):
                shard.open(protocolID, codec: codec, manner: .commands, transport: me, trace: trace)
            case .address(let codec, let protocolID, _, _):
                shard.open(protocolID, codec: codec, manner: .address, transport: me, trace: trace)
            case .handshake(let codec, let protocolID, _):
                shard.open(protocolID, codec: codec, manner: .handshake, transport: me, trace: trace)
            }
        }
        self.id = id
        switch opening {
        case .commands: break
        case .address(_, _, let token, let channels):
            onShard { shard, _ in shard.openAddress(id, token: token, channels: channels, cursor: nil) }
        case .handshake(_, _, let token):
            onShard { shard, _ in shard.openAddress(id, token: token, channels: [], cursor: nil) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        state = .closed
        self.context = nil
        if let id { onShard { shard, _ in shard.closed(id) } }
        id = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let id { onShard { shard, _ in shard.becameWritable(id) } }
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let id, state != .closed else { return }
        let inputs: [WebSocketInput]
        do throws(WebSocketViolation) {
            inputs = try parser.feed(unwrapInboundIn(data))
        } catch {
            guard state == .open else { return context.close(promise: nil) }
            let disconnect = Disconnect(code: error.code, reason: error.reason)
            sendClose(disconnect)
            return onShard { shard, _ in shard.violated(id, disconnect) }
        }
        for input in inputs {
            switch input {
            case .text(let bytes), .binary(let bytes):
                if state == .open { onShard { shard, _ in shard.receive(bytes, from: id) } }
            case .ping(let payload):
                onShard { shard, _ in shard.heard(id) }
                // The answer to a ping is no reason to queue more for a client that does not read.
                if state == .open, heldResponse == nil, context.channel.isWritable {
                    context.writeAndFlush(
                        wrapOutboundOut(WebSocketFrameWriter.frame(.pong, payload, context.channel.allocator)),
                        promise: nil)
                }
            case .pong: onShard { shard, _ in shard.heard(id) }
            case .close(let code): return clientCloses(context, code)
            }
        }
    }

    private func clientCloses(_ context: ChannelHandlerContext, _ code: UInt16?) {
        if state == .open {
            let frame = WebSocketFrameWriter.close(code: code ?? 1000, reason: "", context.channel.allocator)
            context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        }
        state = .closed
        context.close(promise: nil)
    }

    // MARK: Out

    func write(_ bytes: [UInt8]) {
        guard let context, state == .open else { return }
        context.write(
            wrapOutboundOut(
                WebSocketFrameWriter.frame(.text, bytes, compressor: compressor, context.channel.allocator)),
            promise: nil)
    }

    /// A frame is made for the first connection that wants it in that form, and shared by all others.
    private final class PreparedFrame {
        var plain: ByteBuffer?
        var compressed: ByteBuffer?
    }

    func write(_ frame: SharedFrame) {
        guard let context, state == .open else { return }
        context.write(wrapOutboundOut(prepared(frame, context.channel.allocator)), promise: nil)
    }

    private func prepared(_ frame: SharedFrame, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        let prepared = frame.prepared as? PreparedFrame ?? PreparedFrame()
        frame.prepared = prepared
        if let ready = compressor == nil ? prepared.plain : prepared.compressed { return ready }
        let made = WebSocketFrameWriter.frame(.text, frame.bytes, compressor: compressor, allocator)
        if compressor == nil { prepared.plain = made } else { prepared.compressed = made }
        return made
    }

    func flush() { context?.flush() }

    /// Exact beyond the mark, and 0 below it, where it does not matter. What is queued and not flushed is in it.
    var outstandingBytes: Int {
        guard let channel = context?.channel, !channel.isWritable else { return 0 }
        return (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    func start() {
        guard let context, let response = heldResponse else { return }
        heldResponse = nil
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: response)), promise: nil)
    }

    func ping() {
        guard let context, state == .open else { return }
        context.writeAndFlush(
            wrapOutboundOut(WebSocketFrameWriter.frame(.ping, [], context.channel.allocator)), promise: nil)
    }

    func close(_ disconnect: Disconnect) { sendClose(disconnect) }

    /// Sends a close frame and waits for the client's: closing at once could make the kernel throw away what the client
    /// has not read yet, the frame with the reason among it.
    private func sendClose(_ disconnect: Disconnect) {
        guard let context, state == .open else { return }
        if case .handshake = opening, heldResponse != nil { return refuse(context, disconnect) }
        // A close frame is read only after the handshake.
        start()
        state = .closing
        let frame = WebSocketFrameWriter.close(
            code: disconnect.code, reason: disconnect.reason, context.channel.allocator)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: WebSocketConnection.closeTimeout) { [weak self] in
            self?.context?.close(promise: nil)
        }
    }

    /// Answers the handshake with the status that clients of such protocols look for.
    private func refuse(_ context: ChannelHandlerContext, _ disconnect: Disconnect) {
        heldResponse = nil
        state = .closed
        let body = #"{"error":{"code":403,"message":"\#(disconnect.reason)"}}"#
        let text =
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Connection: close\r\n\r\n" + body
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }
}
