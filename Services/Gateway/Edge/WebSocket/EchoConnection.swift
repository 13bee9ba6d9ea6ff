internal import NIOCore

/// `/echo`: a WebSocket that returns every message as it came, for conformance suites.
final class EchoConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var parser: WebSocketFrameParser
    private let compressor: LoopCompressor?

    init(maximumMessageBytes: Int, compressor: LoopCompressor?) {
        self.compressor = compressor
        parser = WebSocketFrameParser(maximumMessageBytes: maximumMessageBytes, inflater: compressor?.inflater)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do throws(WebSocketViolation) {
            for input in try parser.feed(unwrapInboundIn(data)) { answer(input, context) }
        } catch {
            close(context, code: error.code, reason: error.reason)
        }
    }

    private func answer(_ input: WebSocketInput, _ context: ChannelHandlerContext) {
        switch input {
        case .text(let bytes): send(.text, bytes, compressor, context)
        case .binary(let bytes): send(.binary, bytes, compressor, context)
        case .ping(let bytes): send(.pong, bytes, nil, context)
        case .pong: break
        case .close(let code): close(context, code: code ?? 1000, reason: "")
        }
    }

    /// A client that does not read is not read from: what is echoed must not pile up.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    private func send(
        _ kind: WebSocketFrameWriter.Kind, _ bytes: [UInt8], _ compressor: LoopCompressor?,
        _ context: ChannelHandlerContext
    ) {
        let frame = WebSocketFrameWriter.frame(kind, bytes, compressor: compressor, context.channel.allocator)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    private func close(_ context: ChannelHandlerContext, code: UInt16, reason: String) {
        let frame = WebSocketFrameWriter.close(code: code, reason: reason, context.channel.allocator)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(frame)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
