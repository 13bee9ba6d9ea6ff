internal import Foundation
internal import GatewaySession
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOExtras
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOPosix
internal import Synchronization

/// Everything that is no WebSocket: connections that the loops give away are served by SwiftNIO and Hummingbird, on event
/// loops of their own, each in a task of its own.
final class HTTPConnections: Sendable {
    /// A connection with what has come of it.
    private struct Arrival: Sendable {
        var descriptor: Int32
        var received: [UInt8]
        var isCounted: Bool
    }

    private let group: any EventLoopGroup
    private let http: HTTP1Channel
    private let admission: ConnectionAdmission
    private let logger: Logger
    /// Bounded by the connections that the gateway admits.
    private let arrivals: AsyncStream<Arrival>
    private let arrived: AsyncStream<Arrival>.Continuation
    private let state = Mutex(State())

    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Nobody is to send another request.
        var isLeaving = false
    }

    /// How long a connection may wait between two requests, and for the head of the second.
    private static let idleTimeout = TimeAmount.seconds(75)

    init(
        router: Router<BasicRequestContext>, group: any EventLoopGroup, admission: ConnectionAdmission, logger: Logger
    ) {
        self.group = group
        self.admission = admission
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .error)
        self.logger = quiet
        (arrivals, arrived) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        let responder = router.buildResponder()
        http = HTTP1Channel(
            responder: { [quiet] request, writer, channel in
                try await HTTPConnections.respond(request, writer, channel, responder, quiet)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [SlowRequestHandler(admission: admission)],
                idleTimeout: HTTPConnections.idleTimeout))
    }

    private static func respond(
        _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel,
        _ responder: RouterResponder<BasicRequestContext>, _ logger: Logger
    ) async throws {
        let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
        var response: Response
        do {
            response = try await responder.respond(to: request, context: context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            logger.error("a request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            response = Response(status: .internalServerError)
        }
        response.headers[.server] = "apus"
        response.headers[.date] = HTTPDate.now
        let body = try await writer.writeHead(response.head)
        try await response.body.write(body)
    }

    // MARK: Connections

    /// Takes a connection over, with what has come of it. From any thread.
    /// - Parameter isCounted: whether the connection is over for the admission when it is over here.
    func serve(_ descriptor: Int32, received: [UInt8], isCounted: Bool = true) {
        let arrival = Arrival(descriptor: descriptor, received: received, isCounted: isCounted)
        if case .terminated = arrived.yield(arrival) {
            close(descriptor)
            if isCounted { admission.left() }
        }
    }

    /// Serves connections until ``finish()`` and the last one's end.
    func run() async {
        await withDiscardingTaskGroup { tasks in
            for await arrival in arrivals {
                tasks.addTask { await self.serve(arrival) }
            }
        }
    }

    private func serve(_ arrival: Arrival) async {
        defer { if arrival.isCounted { admission.left() } }
        let value: HTTP1Channel.Value
        do {
            value = try await ClientBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .withConnectedSocket(arrival.descriptor) { [http, logger] channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(EarlierBytes(arrival.received))
                    }
                    .flatMap { http.setup(channel: channel, logger: logger) }
                }
        } catch {
            // What fails before there is a channel leaves the descriptor; what fails after has closed it.
            logger.debug("a connection was gone before it was served", metadata: ["error": "\(error)"])
            return
        }
        let channel = value.channel
        let isLeaving = state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            return state.isLeaving
        }
        if isLeaving { HTTPConnections.quiesce(channel) }
        await http.handle(value: value, logger: logger)
        state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
    }

    // MARK: Going away

    /// Asks connections to end after the request that they are at; those that wait for a request end now.
    func quiesce() {
        let channels = state.withLock { state in
            state.isLeaving = true
            return Array(state.channels.values)
        }
        for channel in channels { HTTPConnections.quiesce(channel) }
    }

    private static func quiesce(_ channel: any Channel) {
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    /// Takes no more connections.
    func finish() { arrived.finish() }
}

/// Puts what was read before a connection came to its channel in front of everything else.
private final class EarlierBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: bytes)))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}

/// The time in the form of HTTP's `Date` (RFC 9110, section 5.6.7).
enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    static var now: String { text(time(nil)) }

    static func text(_ seconds: time_t) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
