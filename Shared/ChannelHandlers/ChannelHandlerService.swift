public import EventBus
public import Events
internal import JSON
public import Logging

/// Serves all channels of a namespace with handlers: a micro service that answers the gateway's questions about them.
///
/// ```swift
/// let rooms = ChannelHandlerService(
///     namespace: "chat", name: "chat", version: "1.0.0", description: "chat rooms",
///     bus: context.bus, subjects: context.subjects, logger: context.logger
/// ) { channel in ChatRoom(channel, store) }
/// try await rooms.methods.run()
/// ```
/// The gateway's namespace says `subscribe: hook, publish: hook`. Any number of processes may serve one namespace; each
/// question goes to one of them. See ``ChannelHandler`` for what that means for a handler's state.
///
/// A question that is garbage is answered with 400, one that is too large with 413, one that comes when too many are in
/// hand with 503, and one whose handler needs too long with 503 while its task is cancelled. None of them traps.
public struct ChannelHandlerService: Sendable {
    public struct Options: Sendable, Equatable {
        /// How many handlers may be alive; the ones idle for longest make room for others.
        public var liveHandlers: Int
        /// How long a handler that nobody asks anything is kept.
        public var idleTime: Duration
        /// How long an answer may take. Shorter than the gateway's `gateway.hook_timeout` (5 s), so that the client is told
        /// what this service says.
        public var answerTime: Duration
        /// The largest question, in bytes.
        public var questionBytes: Int

        public init(
            liveHandlers: Int = 10_000, idleTime: Duration = .seconds(300), answerTime: Duration = .seconds(4),
            questionBytes: Int = 262_144
        ) {
            self.liveHandlers = liveHandlers
            self.idleTime = idleTime
            self.answerTime = answerTime
            self.questionBytes = questionBytes
        }
    }

    /// The micro service: run it with ``MicroService/run()``. Calls may be added to it before.
    public let methods: MicroService
    private let pool: HandlerPool

    /// - Parameters:
    ///   - namespace: whose channels it serves.
    ///   - name: the micro service's name.
    ///   - makeHandler: makes a channel's handler when it is first asked about, and again after it was let go. For one
    ///     handler for all channels, return the same each time.
    public init(
        namespace: String, name: String, version: String, description: String, bus: any EventBus, subjects: Subjects,
        logger: Logger, options: Options = Options(), drainTimeout: Duration = .seconds(10),
        clock: any BusClock = SystemBusClock(),
        makeHandler: @escaping @Sendable (ServedChannel) -> any ChannelHandler
    ) {
        let pool = HandlerPool(
            options: options, publisher: ChannelPublisher(bus: bus, subjects: subjects), logger: logger, clock: clock,
            makeHandler: makeHandler)
        self.pool = pool
        methods = MicroService(
            name: name, version: version, description: description, bus: bus, subjects: subjects, logger: logger,
            drainTimeout: drainTimeout, maximumRequestBytes: options.questionBytes, clock: clock)
        methods.hook(.subscribe, namespace: namespace) { request in
            let join = try ChannelJoin(request, namespace: namespace)
            return try await pool.ask(join.channel) { handler, _ in try await handler.join(join).encoded }
        }
        methods.hook(.publish, namespace: namespace) { request in
            let event = try ChannelEvent(request, namespace: namespace)
            return try await pool.ask(event.channel) { handler, channel in
                let answer = try await handler.handle(event)
                if answer.isPublishedHere {
                    // The client may have been told already that it took too long.
                    try Task.checkCancellation()
                    try await channel.broadcast(event, as: answer)
                }
                return answer.encoded
            }
        }
        methods.hook(.leave, namespace: namespace) { request in
            let leave = try ChannelLeave(request, namespace: namespace)
            return try await pool.ask(leave.channel) { handler, _ in
                await handler.leave(leave)
                return [:]
            }
        }
    }

    /// How many handlers are alive.
    public var liveHandlers: Int { pool.count }

    /// How many handlers had to make room for others before their time: a number that grows asks for a larger
    /// ``Options/liveHandlers``.
    public var evictedHandlers: UInt64 { pool.evicted }
}
