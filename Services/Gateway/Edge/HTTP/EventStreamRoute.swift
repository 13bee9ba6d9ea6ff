internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// `GET /events?channel=…&channel=…`: Server-Sent Events of any number of channels.
struct EventStreamRoute {
    let shards: ShardGroup
    let limits: GatewayLimits

    /// How long, in milliseconds, a browser waits before it comes back: spread, so that those who lose a gateway at the
    /// same moment do not come back at the same moment.
    private static let retry = 1500...3000
    /// The same for those whom a gateway tells that it leaves.
    private static let retryAfterShutdown = 500...8000

    func add(to router: Router<BasicRequestContext>) {
        router.get("events") { request, _ in try await self.respond(request) }
    }

    private func respond(_ request: Request) async throws -> Response {
        let labels = request.parameters.filter { $0.name == "channel" }.map(\.value)
        guard !labels.isEmpty else { throw HTTPFailure(.badRequest, "name at least one channel: /events?channel=…") }
        guard labels.count <= ChannelCursor.maximumCount else { throw HTTPFailure(refusing: .channelLimit) }
        let last = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] } ?? request.parameter("last_event_id")
        // An id that is none of ours cannot be continued, and `recovered: false` says so; an error status would make a
        // browser give up for good.
        let cursor = last.flatMap { ChannelCursor($0) } ?? ChannelCursor()
        let shard = shards.any()
        let channels = labels.map { SubscribeCommand(channel: $0, recoverFrom: cursor[$0]) }
        let stream = EventStream(mark: WriteMark(outboundBytes: limits.outboundBytes))
        let id = await shard.openStream(
            .serverSentEvents, codec: ServerSentEvents(), transport: stream, token: request.token, channels: channels,
            trace: request.trace)
        let lease = SessionLease { [shards] in shards.run(on: shard) { $0.closed(id) } }
        stream.onWritable { [shards] in shards.run(on: shard) { $0.becameWritable(id) } }
        let refusal = await withTaskCancellationHandler {
            await stream.opening.refusal()
        } onCancel: {
            stream.abandon()
        }
        if let refusal { throw HTTPFailure(refusing: refusal) }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-store",
                // Buffering proxies would keep events back.
                HTTPField.Name("X-Accel-Buffering")!: "no",
            ],
            body: ResponseBody { writer in
                defer { withExtendedLifetime(lease) {} }
                try await request.watchingClient { _ in
                    // No empty line: it belongs to the first event, since some clients take a block without data for one.
                    try await writer.write(EventStreamRoute.retry(within: EventStreamRoute.retry))
                    while let buffer = await stream.next() {
                        try await writer.write(buffer)
                        stream.wrote(buffer.readableBytes)
                    }
                    if stream.end == .shutdown {
                        // A browser keeps to it as soon as the line ends; an empty one after it would be an event to some.
                        try await writer.write(EventStreamRoute.retry(within: EventStreamRoute.retryAfterShutdown))
                    }
                } onClosed: {
                    stream.abandon()
                }
                try await writer.finish(nil)
            })
    }

    private static func retry(within milliseconds: ClosedRange<Int>) -> ByteBuffer {
        ByteBuffer(string: "retry: \(Int.random(in: milliseconds))\n")
    }
}

extension Shard {
    /// Opens a connection whose request says everything.
    func openStream(
        _ protocolID: WireProtocolID, codec: any WireProtocol, transport: any Transport & Sendable, token: String?,
        channels: [SubscribeCommand], trace: TraceContext? = nil
    ) -> ConnectionID {
        let id = open(protocolID, codec: codec, manner: .address, transport: transport, trace: trace)
        openAddress(id, token: token, channels: channels, cursor: ChannelCursor())
        return id
    }
}
