internal import GatewaySession
internal import NIOCore
internal import NIOHTTPTypes

/// Closes an HTTP connection whose request's body comes in drips.
///
/// A body may take ``grace`` and a second for every ``bytesPerSecond`` that have come. Heads are bounded elsewhere: the first
/// by the front handler, later ones by the time that a connection may be idle.
final class SlowRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    static let grace = Duration.seconds(20)
    static let bytesPerSecond = 1024

    private let admission: ConnectionAdmission
    private var received = 0
    private var startedAt: NIODeadline?
    private var timer: Scheduled<Void>?

    init(admission: ConnectionAdmission) { self.admission = admission }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            received = 0
            startedAt = .now()
            schedule(context)
        case .body(let buffer): received += buffer.readableBytes
        case .end: stop()
        }
        context.fireChannelRead(data)
    }

    /// When a body that began at `start` must be whole, or further than it is.
    static func deadline(start: NIODeadline, received: Int) -> NIODeadline {
        start + TimeAmount(grace) + .milliseconds(Int64(received) * 1000 / Int64(bytesPerSecond))
    }

    private func schedule(_ context: ChannelHandlerContext) {
        guard let startedAt else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let deadline = SlowRequestHandler.deadline(start: startedAt, received: received)
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self, let startedAt = self.startedAt else { return }
            if SlowRequestHandler.deadline(start: startedAt, received: self.received) > .now() {
                return self.schedule(bound.value)
            }
            self.stop()
            self.admission.count(.requestBody)
            bound.value.close(promise: nil)
        }
    }

    private func stop() {
        startedAt = nil
        timer?.cancel()
        timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }
}
