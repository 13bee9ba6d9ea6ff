internal import Foundation
internal import GatewaySession
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTPTypes

/// How Hummingbird's server serves a connection of ours: the front handler decides first.
struct EdgeChannel: ServerChildChannel {
    typealias HTTPValue = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    /// What the front handler decided.
    enum Decision: Sendable {
        case http(HTTPValue)
        case socket
    }

    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let decision: EventLoopFuture<Decision>
    }

    let http: HTTP1Channel
    let routes: SocketRoutes
    let limits: GatewayLimits
    let admission: ConnectionAdmission
    /// How long a client may leave what was sent to it unacknowledged: it has gone, or will not read.
    let unacknowledgedTimeout: Duration

    /// `TCP_USER_TIMEOUT` of Linux (RFC 5482): without it a client that has vanished, or never reads, keeps its socket for as
    /// long as the kernel retries.
    private static let tcpUserTimeout = SocketOptionName(18)

    /// Returns a finished future: NIO registers the connection only afterwards, and would never read from one that waits.
    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let decision = channel.eventLoop.makePromise(of: Decision.self)
            let http = self.http
            let verdict = admission.admit(channel)
            let front = FrontHandler(
                routes: routes, limits: limits, admission: admission, isExcess: verdict != .serve,
                becomeHTTP: { channel in
                    http.setup(channel: channel, logger: logger).map { decision.succeed(.http($0)) }
                },
                becomeSocket: { decision.succeed(.socket) })
            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try channel.syncOptions?.setOption(
                ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), EdgeChannel.tcpUserTimeout),
                value: SocketOptionValue(clamping: unacknowledgedTimeout.components.seconds * 1000))
            try channel.pipeline.syncOperations.addHandler(front)
            if verdict == .drop { channel.close(promise: nil) }
            return Value(channel: channel, decision: decision.futureResult)
        }
    }

    func handle(value: Value, logger: Logger) async {
        // For a socket no task stays: its handler lives on the loop alone.
        guard case .http(let channel) = try? await value.decision.get() else { return }
        await http.handle(value: channel, logger: logger)
    }
}
