internal import GatewaySession
internal import GatewayWire
internal import NIOCore
internal import NIOHTTP1

/// The first handler of every connection: reads the request line and gives the connection to whoever serves it.
///
/// WebSockets go to one lean handler that reads its own handshake; everything else to the HTTP server, once the head of the
/// first request is whole. Whoever does not send one in time is closed.
final class FrontHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let routes: SocketRoutes
    private let limits: GatewayLimits
    private let admission: ConnectionAdmission
    /// Installs the HTTP server's handlers behind this one.
    private let becomeHTTP: (any Channel) -> EventLoopFuture<Void>
    /// The connection is not HTTP's.
    private let becomeSocket: () -> Void
    private var received = ByteBuffer()
    private var isDecided = false
    /// One connection more than the gateway serves: it is told so once its request can be answered.
    private let isExcess: Bool
    private var timeout: Scheduled<Void>?

    init(
        routes: SocketRoutes, limits: GatewayLimits, admission: ConnectionAdmission, isExcess: Bool,
        becomeHTTP: @escaping (any Channel) -> EventLoopFuture<Void>,
        becomeSocket: @escaping () -> Void
    ) {
        self.routes = routes
        self.limits = limits
        self.admission = admission
        self.isExcess = isExcess
        self.becomeHTTP = becomeHTTP
        self.becomeSocket = becomeSocket
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // Those that are too many anyway are waited for a moment only.
        let time = isExcess ? min(limits.connectTimeout, .seconds(1)) : limits.connectTimeout
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { [weak self, admission] in
            // Whoever opens a connection and does not finish a request in time is not waited for.
            guard self?.isDecided == false else { return }
            admission.count(.connectTimeout)
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = buffer } else { received.writeBuffer(&buffer) }
        guard !isDecided else { return }
        decide(context)
    }

    private func decide(_ context: ChannelHandlerContext) {
        guard let lineEnd = received.readableBytesView.firstIndex(of: 0x0A) else {
            if received.readableBytes > RequestHead.maximumBytes { context.close(promise: nil) }
            return
        }
        let line = received.readableBytesView[..<lineEnd]
        let isSocket = SocketRoutes.isSocketRoute(line)
        guard let end = headEnd() else {
            let maximum = isSocket ? RequestHead.maximumBytes : RequestHead.maximumBytesOfHTTP
            if received.readableBytes > maximum {
                refuse(context, status: 431, reason: "the request's head is too large", extraHeaders: "")
            }
            return
        }
        if isExcess {
            admission.count(.connections)
            return refuse(
                context, status: 503, reason: "this gateway has as many connections as it serves; try again",
                extraHeaders: "Retry-After: 5\r\n")
        }
        guard isSocket else { return serveHTTP(context) }
        let bytes = received.readBytes(length: end) ?? []
        do throws(RequestHead.Invalid) {
            let head = try RequestHead(parsing: bytes)
            // A page's code that is out of date asks for these addresses without an upgrade; it is told by HTTP.
            serveSocket(context, head)
        } catch {
            refuse(context, status: error.status, reason: error.reason, extraHeaders: "")
        }
    }

    /// The length of the head with the empty line that ends it.
    private func headEnd() -> Int? {
        let view = received.readableBytesView
        var index = view.startIndex
        while let newline = view[index...].firstIndex(of: 0x0A) {
            let next = newline + 1
            guard next < view.endIndex else { return nil }
            if view[next] == 0x0A { return next + 1 - view.startIndex }
            if view[next] == 0x0D, next + 1 < view.endIndex, view[next + 1] == 0x0A {
                return next + 2 - view.startIndex
            }
            index = next
        }
        return nil
    }

    // MARK: Deciding

    private func decided() {
        isDecided = true
        timeout?.cancel()
        timeout = nil
    }

    private func serveHTTP(_ context: ChannelHandlerContext) {
        decided()
        let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
        becomeHTTP(context.channel).assumeIsolated().whenComplete { result in
            let (context, me) = bound.value
            guard case .success = result else { return context.close(promise: nil) }
            context.fireChannelRead(NIOAny(me.received))
            me.received = ByteBuffer()
            context.pipeline.syncOperations.removeHandler(me, promise: nil)
        }
    }

    private func serveSocket(_ context: ChannelHandlerContext, _ head: RequestHead) {
        switch routes.handler(for: head, on: context.eventLoop) {
        case .refuse(let status, let reason, let extraHeaders):
            refuse(context, status: status, reason: reason, extraHeaders: extraHeaders)
        case .serve(let handler, let response):
            decided()
            becomeSocket()
            if !response.isEmpty {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: response)), promise: nil)
            }
            do {
                // A client that has closed its half has gone; only HTTP answers half-closed connections.
                try context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
                try context.pipeline.syncOperations.addHandler(handler)
            } catch {
                return context.close(promise: nil)
            }
            if received.readableBytes > 0 { context.fireChannelRead(NIOAny(received)) }
            received = ByteBuffer()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, status: Int, reason: String, extraHeaders: String) {
        decided()
        becomeSocket()
        let body = "{\"error\":{\"code\":\(status),\"message\":\"\(reason)\"}}"
        let text =
            "HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n\(extraHeaders)"
            + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + (extraHeaders.contains("Connection:") ? "" : "Connection: close\r\n") + "\r\n" + body
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }

    // MARK: Ends

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, !isDecided { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        if !isDecided { becomeSocket() }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
