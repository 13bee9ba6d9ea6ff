public import Events
public import JSON
public import Logging
internal import Synchronization

/// A service that answers calls, registered as a NATS micro service (ADR-32): `nats micro ls` and `apus services` list it.
///
/// Add methods with ``rpc(_:handler:)`` and ``hook(_:namespace:handler:)``, then let ``run()`` serve them. Any number of
/// processes may run the same service; each call goes to one of them.
///
/// Handlers run at once, up to ``maximumInHand``; calls beyond that are refused with 503, so that the caller may try
/// another process. A handler bounds its own time. What it throws besides ``RPCError`` is logged by its type, and the
/// client is told "internal error".
public final class MicroService: Sendable {
    /// The queue group of all methods.
    public static let queueGroup = "q"
    /// How many calls are handled at once in this process.
    public static let maximumInHand = 64

    private let description: MicroServiceDescription
    private let bus: any EventBus
    private let subjects: Subjects
    private let logger: Logger
    private let clock: any BusClock
    private let drainTimeout: Duration
    private let maximumRequestBytes: Int
    private let state = Mutex(State())

    private struct State {
        var endpoints: [MicroServiceEndpoint] = []
        var statistics: [EndpointStatistics] = []
        var inHand = 0
        var isRunning = false
    }

    /// A call that was admitted: it counts as in hand until it is answered.
    private struct Job: Sendable {
        let index: Int
        let endpoint: MicroServiceEndpoint
        let message: BusMessage
    }

    /// - Parameters:
    ///   - name: letters, digits, `_` and `-`.
    ///   - version: three numbers, as in `1.2.3`.
    ///   - drainTimeout: how long a stopping service waits for the calls in hand.
    ///   - maximumRequestBytes: larger requests are answered with 413, unread. A NATS server lets 1 MiB pass unless
    ///     configured otherwise.
    public init(
        name: String, version: String, description: String, bus: any EventBus, subjects: Subjects, logger: Logger,
        drainTimeout: Duration = .seconds(10), maximumRequestBytes: Int = 1_048_576,
        clock: any BusClock = SystemBusClock(), id: String = MicroService.makeID()
    ) {
        self.description = MicroServiceDescription(
            name: name, version: version, description: description, id: id, started: clock.now)
        self.bus = bus
        self.subjects = subjects
        self.logger = logger
        self.clock = clock
        self.drainTimeout = drainTimeout
        self.maximumRequestBytes = maximumRequestBytes
    }

    /// A new instance's id: 22 letters and digits.
    public static func makeID() -> String {
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        return String((0..<22).map { _ in letters[Int.random(in: letters.indices)] })
    }

    /// This instance's id.
    public var id: String { description.id }

    /// What has been asked of each method so far.
    public var statistics: [EndpointStatistics] { state.withLock { $0.statistics } }

    // MARK: Methods

    /// Answers calls of `method` on `apus.rpc.<method>`: `{"result": …}` with what `handler` returns. A request without
    /// payload has the parameters `{}`; one that is not JSON is answered with 400. Before ``run()`` only.
    public func rpc(_ method: String, handler: @escaping @Sendable (RPCRequest) async throws -> JSONValue) {
        add(MicroServiceEndpoint(method: method, subject: subjects.rpc(method), handler: handler))
    }

    /// Answers what the gateway asks about channels of `namespace`; parameters `{"channel": "…", …}`. A leave is told, not
    /// asked: what `handler` returns then goes nowhere. Before ``run()`` only.
    public func hook(
        _ hook: Subjects.Hook, namespace: String,
        handler: @escaping @Sendable (RPCRequest) async throws -> JSONValue
    ) {
        add(
            MicroServiceEndpoint(
                method: "hook.\(namespace).\(hook.rawValue)", subject: subjects.hook(hook, namespace: namespace),
                handler: handler))
    }

    private func add(_ endpoint: MicroServiceEndpoint) {
        state.withLock { state in
            precondition(!state.isRunning, "methods are added before run()")
            state.endpoints.append(endpoint)
            state.statistics.append(EndpointStatistics(method: endpoint.method, subject: endpoint.subject))
        }
    }

    // MARK: Life

    /// Registers and serves until the calling task is cancelled; then takes no more calls and returns when those in
    /// hand are answered, or when the drain timeout has passed: those that are left are cancelled then.
    /// - Throws: ``BusError`` if it cannot register: `invalidArgument` for a name or version that ADR-32 does not allow.
    public func run() async throws {
        try checkDescription()
        let endpoints = state.withLock { state in
            precondition(!state.isRunning, "run() is called once")
            state.isRunning = true
            return state.endpoints
        }
        // As many as may be in hand fit, so that an admitted call is never dropped here.
        let (jobs, continuation) = AsyncStream<Job>.makeStream(bufferingPolicy: .bufferingOldest(Self.maximumInHand))
        let subscriptions = try register(endpoints, into: continuation)
        logger.info(
            "service registered",
            metadata: ["service": "\(description.name)", "id": "\(id)", "methods": "\(endpoints.count)"])

        // Not a child: the calls in hand must outlive the cancellation of this task for as long as the drain takes.
        let isDone = OneShot<Void>()
        let server = Task {
            await serve(jobs)
            isDone.fulfil(())
        }
        await withTaskCancellationHandler {
            await isDone.value()
        } onCancel: {
            for subscription in subscriptions { subscription.cancel() }
            continuation.finish()
            clock.schedule(after: drainTimeout) { server.cancel() }
            // For a handler that ignores its cancellation too.
            clock.schedule(after: drainTimeout + .seconds(1)) { isDone.fulfil(()) }
        }
    }

    private func checkDescription() throws(BusError) {
        let isName =
            !description.name.isEmpty && SubjectToken.encode(description.name) == description.name
            && !description.name.utf8.contains(UInt8(ascii: "."))
        guard isName else {
            throw BusError(.invalidArgument, "a service's name has letters, digits, _ and - only")
        }
        let core = description.version.prefix { $0 != "-" && $0 != "+" }
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers.allSatisfy({ UInt32($0) != nil }) else {
            throw BusError(.invalidArgument, "a service's version is three numbers, as in 1.2.3")
        }
    }

    private func register(
        _ endpoints: [MicroServiceEndpoint], into jobs: AsyncStream<Job>.Continuation
    ) throws(BusError) -> [any BusSubscription] {
        var subscriptions: [any BusSubscription] = []
        do throws(BusError) {
            for (index, endpoint) in endpoints.enumerated() {
                subscriptions.append(
                    try bus.subscribe(endpoint.subject, queue: Self.queueGroup) { [self] message in
                        admit(Job(index: index, endpoint: endpoint, message: message), to: jobs)
                    })
            }
            for verb in MicroServiceDescription.Verb.allCases {
                for subject in description.subjects(verb) {
                    subscriptions.append(
                        try bus.subscribe(subject) { [self] message in describe(verb, to: message) })
                }
            }
        } catch {
            for subscription in subscriptions { subscription.cancel() }
            throw error
        }
        return subscriptions
    }

    private func describe(_ verb: MicroServiceDescription.Verb, to message: BusMessage) {
        guard let replyTo = message.replyTo else { return }
        let (endpoints, statistics) = state.withLock { ($0.endpoints, $0.statistics) }
        let answer = description.answer(verb, endpoints: endpoints, statistics: statistics)
        do throws(BusError) {
            try bus.publish(BusMessage(subject: replyTo, payload: JSONValue.object(answer).serialized()))
        } catch {
            logger.debug("service description not sent", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Calls

    /// On the bus's thread: takes the call in hand or refuses it.
    private func admit(_ job: Job, to jobs: AsyncStream<Job>.Continuation) {
        let isAdmitted = state.withLock { state in
            guard state.inHand < Self.maximumInHand else { return false }
            state.inHand += 1
            return true
        }
        guard isAdmitted else {
            return refuse(job, "too many calls in hand; try again")
        }
        guard case .enqueued = jobs.yield(job) else {
            state.withLock { $0.inHand -= 1 }
            return refuse(job, "the service is stopping; try again")
        }
    }

    private func refuse(_ job: Job, _ message: String) {
        state.withLock { $0.statistics[job.index].refused += 1 }
        finish(job, .error(RPCError(503, message)), took: .zero)
    }

    private func serve(_ jobs: AsyncStream<Job>) async {
        await withDiscardingTaskGroup { group in
            for await job in jobs {
                group.addTask { [self] in
                    let start = ContinuousClock.now
                    let reply = await handle(job)
                    finish(job, reply, took: ContinuousClock.now - start)
                    state.withLock { $0.inHand -= 1 }
                }
            }
        }
    }

    private func handle(_ job: Job) async -> RPCReply {
        let message = job.message
        guard message.payload.count <= maximumRequestBytes else {
            return .error(RPCError(413, "the parameters have more than \(maximumRequestBytes) bytes"))
        }
        let parameters: JSONValue
        do throws(JSONError) {
            parameters = message.payload.isEmpty ? [:] : try JSONValue(parsing: message.payload)
        } catch {
            return .error(RPCError(400, "the parameters are not JSON: \(error)"))
        }
        let request = RPCRequest(
            method: job.endpoint.method, parameters: parameters, caller: Caller(headers: message.headers),
            headers: message.headers)
        do {
            return .result(try await job.endpoint.handler(request))
        } catch let error as RPCError {
            return .error(error)
        } catch is CancellationError {
            return .error(RPCError(503, "the service is stopping; try again"))
        } catch {
            // An error's description may quote what the client sent, so only a bus error's, which never does, is kept.
            let cause = (error as? BusError)?.description ?? "\(type(of: error))"
            logger.error("call failed", metadata: ["method": "\(job.endpoint.method)", "error": "\(cause)"])
            return .error(RPCError(500, "internal error"))
        }
    }

    /// Counts and answers.
    private func finish(_ job: Job, _ reply: RPCReply, took duration: Duration) {
        var reply = reply
        do throws(BusError) {
            do throws(BusError) {
                try send(reply, to: job.message)
            } catch  where error.code == .payloadTooLarge {
                reply = .error(RPCError(500, "the result is larger than a message may be; ask for less"))
                try send(reply, to: job.message)
            }
        } catch {
            logger.warning(
                "answer not sent", metadata: ["method": "\(job.endpoint.method)", "error": "\(error)"])
        }
        state.withLock { $0.statistics[job.index].record(reply, took: duration) }
    }

    private func send(_ reply: RPCReply, to message: BusMessage) throws(BusError) {
        guard let replyTo = message.replyTo else { return }
        var answer = BusMessage(subject: replyTo, payload: reply.payload)
        if case .error(let error) = reply {
            answer.headers["Nats-Service-Error"] = HeaderText.sanitized(error.message)
            answer.headers["Nats-Service-Error-Code"] = String(error.code)
        }
        try bus.publish(answer)
    }
}
