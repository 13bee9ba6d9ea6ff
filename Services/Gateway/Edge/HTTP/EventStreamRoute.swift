internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import NIOCore

/// `GET /events?channel=…&channel=…`: Server-Sent Events of any number of channels.
struct EventStreamRoute {
    let shards: ShardGroup
    let origins: OriginPolicy

    /// How long a browser waits before it comes back. No empty line: it belongs to the first event, since some clients
    /// take a block without data for an event.
    private static let retry = "retry: 2000\n"

    func add(to router: Router<BasicRequestContext>) {
        router.get("events") { request, _ in try await self.respond(request) }
    }

    private func respond(_ request: Request) async throws -> Response {
        guard origins.admits(origin: request.headers[.origin], host: request.head.authority) else {
            throw HTTPFailure(.forbidden, "this origin is not let in; see gateway.origins")
        }
        let labels = request.parameters.filter { $0.name == "channel" }.map(\.value)
        guard !labels.isEmpty else { throw HTTPFailure(.badRequest, "name at least one channel: /events?channel=…") }
        let last = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] } ?? request.parameter("last_event_id")
        // An id that is none of ours cannot be continued, and `recovered: false` says so; an error status would make a
        // browser give up for good.
        let cursor = last.flatMap { ChannelCursor($0) } ?? ChannelCursor()
        let shard = shards.any()
        let token = request.token
        let channels = labels.map { SubscribeCommand(channel: $0, recoverFrom: cursor[$0]) }
        let stream = EventStream()
        let id = await shard.openEventStream(stream, token: token, channels: channels, trace: request.trace)
        stream.onWritable = { Task { await shard.becameWritable(id) } }
        let opening = await withTaskCancellationHandler {
            await stream.opening()
        } onCancel: {
            stream.abandon()
        }
        if let refusal = opening {
            await shard.closed(id)
            throw EventStreamRoute.failure(refusal)
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-store",
                // Buffering proxies would keep events back.
                HTTPField.Name("X-Accel-Buffering")!: "no", .accessControlAllowOrigin: request.headers[.origin] ?? "*",
            ],
            body: ResponseBody { writer in
                do {
                    try await request.body.consumeWithInboundCloseHandler { _ in
                        try await writer.write(ByteBuffer(string: EventStreamRoute.retry))
                        while let buffer = await stream.next() {
                            try await writer.write(buffer)
                            stream.wrote(buffer.readableBytes)
                        }
                    } onInboundClosed: {
                        stream.abandon()
                    }
                } catch {
                    await shard.closed(id)
                    throw error
                }
                await shard.closed(id)
                try await writer.finish(nil)
            })
    }

    private static func failure(_ disconnect: Disconnect) -> HTTPFailure {
        switch disconnect {
        case .authenticationRequired: HTTPFailure(.unauthorized, "authentication required: send a token")
        case .invalidToken: HTTPFailure(.unauthorized, "the token is not valid")
        case .expired: HTTPFailure(.unauthorized, "the token has expired")
        case .permissionDenied: HTTPFailure(.forbidden, "you may not subscribe to one of these channels")
        case .badRequest: HTTPFailure(.badRequest, "a channel's name is not one, is unknown, or stands twice")
        case .connectionLimit, .tooManyRequests: HTTPFailure(.tooManyRequests, "too many connections or channels")
        case .shutdown: HTTPFailure(.serviceUnavailable, "the gateway is leaving; try again")
        default: HTTPFailure(.serviceUnavailable, "the channels cannot be subscribed now; try again")
        }
    }
}
