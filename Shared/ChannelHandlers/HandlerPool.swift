internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import Synchronization

/// Has handlers answer: finds or makes a channel's handler, bounds the time of its answer, and lets it go when it is idle.
final class HandlerPool: Sendable {
    typealias Question = @Sendable (any ChannelHandler, ServedChannel) async throws -> JSONValue

    /// Questions in hand, those included whose time is over and whose handler goes on nevertheless.
    static let maximumInHand = 2 * MicroService.maximumInHand

    private let options: ChannelHandlerService.Options
    private let publisher: ChannelPublisher
    private let logger: Logger
    private let clock: any BusClock
    private let makeHandler: @Sendable (ServedChannel) -> any ChannelHandler
    private let state: Mutex<State>

    private struct State {
        var handlers: LiveHandlers<any ChannelHandler>
        var inHand = 0
        var isSweepPlanned = false
    }

    init(
        options: ChannelHandlerService.Options, publisher: ChannelPublisher, logger: Logger, clock: any BusClock,
        makeHandler: @escaping @Sendable (ServedChannel) -> any ChannelHandler
    ) {
        self.options = options
        self.publisher = publisher
        self.logger = logger
        self.clock = clock
        self.makeHandler = makeHandler
        state = Mutex(State(handlers: LiveHandlers(maximumCount: options.liveHandlers, idleTime: options.idleTime)))
    }

    var count: Int { state.withLock { $0.handlers.count } }
    var evicted: UInt64 { state.withLock { $0.handlers.evicted } }

    /// Has the channel's handler answer, within the time that answers may take.
    func ask(_ name: ChannelName, _ question: @escaping Question) async throws -> JSONValue {
        let channel = ServedChannel(name: name, publisher: publisher)
        let handler = try take(channel)
        let outcome = OneShot<Result<JSONValue, any Error>>()
        // Not a child: one that does not heed its cancellation must not hold up the answer.
        let work = Task {
            let result: Result<JSONValue, any Error>
            do { result = .success(try await question(handler, channel)) } catch { result = .failure(error) }
            giveBack(name)
            outcome.fulfil(result)
        }
        let cancelDeadline = clock.schedule(after: options.answerTime) {
            if outcome.fulfil(.failure(RPCError(503, "the service took too long; try again"))) { work.cancel() }
        }
        let result = await withTaskCancellationHandler {
            await outcome.value()
        } onCancel: {
            work.cancel()
        }
        cancelDeadline()
        do { return try result.get() } catch { throw told(error) }
    }

    /// What the client is told of an error. What it must not see is left to the micro service, which logs it.
    private func told(_ error: any Error) -> any Error {
        if let error = error as? RPCError, !(400...599).contains(error.code) {
            logger.error("a channel handler's error has no code of 400 to 599", metadata: ["code": "\(error.code)"])
            return RPCError(500, "internal error")
        }
        if let error = error as? BusError, error.isRetryable {
            logger.warning("a channel handler met the bus's absence", metadata: ["error": "\(error)"])
            return RPCError(503, "not possible at the moment; try again")
        }
        return error
    }

    // MARK: Handlers

    private func take(_ channel: ServedChannel) throws -> any ChannelHandler {
        let present = try state.withLock { state in
            guard state.inHand < HandlerPool.maximumInHand else {
                throw RPCError(503, "too many questions in hand; try again")
            }
            state.inHand += 1
            return state.handlers.take(channel.name)
        }
        if let present { return present }
        // Outside of the lock: it is the author's code.
        let made = makeHandler(channel)
        let now = clock.now
        let (handler, plansSweep) = state.withLock { state in
            let handler = state.handlers.add(made, for: channel.name, now: now)
            let plansSweep = handler != nil && !state.isSweepPlanned
            if handler == nil { state.inHand -= 1 }
            if plansSweep { state.isSweepPlanned = true }
            return (handler, plansSweep)
        }
        if plansSweep { planSweep(after: options.idleTime) }
        guard let handler else { throw RPCError(503, "too many channels are in use; try again") }
        return handler
    }

    private func giveBack(_ channel: ChannelName) {
        let now = clock.now
        state.withLock { state in
            state.handlers.giveBack(channel, now: now)
            state.inHand -= 1
        }
    }

    private func planSweep(after delay: Duration) {
        clock.schedule(after: delay) { [weak self] in self?.sweep() }
    }

    /// Lets go of handlers that have been idle for long enough, and comes back for the others.
    private func sweep() {
        let now = clock.now
        let next = state.withLock { state in
            let next = state.handlers.expire(now: now)
            state.isSweepPlanned = next != nil
            return next
        }
        if let next { planSweep(after: next) }
    }
}
