internal import Events
internal import Synchronization

/// The bus in memory: what services are tested on, and what runs them in one process without a server.
///
/// It does what `NATSEventBus` does on nats-server 2.9, as far as ``EventBus`` promises it; one contract suite holds
/// both to that. Callbacks run one at a time on a thread of the bus, in order, and may call the bus.
///
/// A ``MemoryBus`` is a connection: ``anotherConnection()`` makes a second one to the same messages and streams, which
/// can be cut on its own. Time is the clock's, so that a test with a manual clock waits for nothing.
public final class MemoryBus: EventBus {
    /// The largest payload, as nats-server has it unless told otherwise.
    public static let maximumPayload = 1_048_576
    /// How many messages wait for a subscription's callback before further ones are dropped.
    public static let defaultPendingLimit = 65_536
    /// How many bytes of messages are kept while the connection is cut.
    static let offlineLimit = 8 * 1_048_576

    let server: MemoryServer
    let connection: Int
    private let pendingLimit: Int
    private let state = Mutex(State())

    private struct State {
        var isConnected = true
        var isClosed = false
        var offline: [BusMessage] = []
        var offlineBytes = 0
        var listeners: [UInt64: AsyncStream<BusConnectionEvent>.Continuation] = [:]
        var lastID: UInt64 = 0
        /// Ends what waits for an answer when the connection is lost.
        var waiting: [UInt64: @Sendable (BusError) -> Void] = [:]
        /// Ends the watches when the bus is closed.
        var watches: [UInt64: @Sendable () -> Void] = [:]
        var faults: [MemoryBusOperation: [MemoryBusFault]] = [:]
        var calls: [MemoryBusOperation: Int] = [:]

        mutating func makeID() -> UInt64 {
            lastID += 1
            return lastID
        }
    }

    /// - Parameter pendingLimit: how many messages wait for a subscription's callback before further ones are dropped.
    public convenience init(
        clock: any BusClock = SystemBusClock(), pendingLimit: Int = MemoryBus.defaultPendingLimit
    ) {
        self.init(server: MemoryServer(clock: clock), pendingLimit: pendingLimit)
    }

    private init(server: MemoryServer, pendingLimit: Int) {
        self.server = server
        self.pendingLimit = pendingLimit
        connection = server.makeConnection()
    }

    /// A second connection to the same server.
    public func anotherConnection() -> MemoryBus { MemoryBus(server: server, pendingLimit: pendingLimit) }

    // MARK: Faults

    /// Cuts the connection or restores it. While it is cut, calls throw `notConnected`, published messages are kept up to
    /// 8 MiB and sent afterwards, what others send is missed, and subscriptions, consumers and watches survive.
    public func setConnected(_ isConnected: Bool) {
        let (changed, ended, kept) = state.withLock { state in
            guard !state.isClosed, state.isConnected != isConnected else {
                return (false, [@Sendable (BusError) -> Void](), [BusMessage]())
            }
            state.isConnected = isConnected
            defer {
                if isConnected {
                    state.offline = []
                    state.offlineBytes = 0
                } else {
                    state.waiting = [:]
                }
            }
            return (true, isConnected ? [] : Array(state.waiting.values), isConnected ? state.offline : [])
        }
        guard changed else { return }
        let lost = BusError(.notConnected, "the connection was lost; try again")
        try? server.perform { broker, now throws(BusError) in
            if isConnected {
                broker.disconnected.remove(connection)
                broker.restoreSubscriptions(of: connection)
                broker.resumeWatchers()
                for message in kept { broker.publish(message, now: now) }
            } else {
                broker.disconnected.insert(connection)
                broker.failFetches(lost) { _, fetch in fetch.connection == connection }
            }
        }
        for end in ended { end(lost) }
        tell(isConnected ? .connected : .disconnected)
    }

    public func reconnect() {
        guard isConnected else { return }
        setConnected(false)
        setConnected(true)
    }

    /// Makes the server forget this connection's subscriptions on subjects that begin with `prefix`, as when a permission
    /// was taken away for a moment: nothing tells of it, and they are dead until the connection is made again.
    public func loseSubscriptions(prefix: String) {
        try? server.perform { broker, _ throws(BusError) in
            broker.loseSubscriptions(of: connection, prefix: prefix)
        }
    }

    /// How often `operation` was called by this connection.
    public func calls(of operation: MemoryBusOperation) -> Int { state.withLock { $0.calls[operation] ?? 0 } }

    /// Makes the next `times` calls of `operation` go wrong.
    public func inject(_ fault: MemoryBusFault, into operation: MemoryBusOperation, times: Int = 1) {
        state.withLock { $0.faults[operation, default: []] += Array(repeating: fault, count: max(0, times)) }
    }

    /// Checks that the call may be made, and takes the fault that is meant for it.
    func begin(_ operation: MemoryBusOperation) throws(BusError) -> MemoryBusFault? {
        let (fault, failure): (MemoryBusFault?, BusError?) = state.withLock { state in
            state.calls[operation, default: 0] += 1
            if state.isClosed { return (nil, BusError(.closed, "the bus was closed")) }
            if !state.isConnected && operation != .publish {
                return (nil, BusError(.notConnected, "no server can be reached; try again"))
            }
            guard let fault = state.faults[operation]?.first else { return (nil, nil) }
            state.faults[operation]?.removeFirst()
            if case .fails(let error) = fault { return (nil, error) }
            return (fault, nil)
        }
        if let failure { throw failure }
        return fault
    }

    /// Runs one call on the server, with the fault that is meant for it.
    func perform<Value: Sendable>(
        _ operation: MemoryBusOperation, _ body: (inout MemoryBroker, Timestamp) throws(BusError) -> Value
    ) throws(BusError) -> Value {
        let fault = try begin(operation)
        let value = try server.perform(body)
        if case .answerIsLost? = fault { throw BusError(.timeout, "no answer came in time") }
        return value
    }

    private func tell(_ event: BusConnectionEvent) {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
    }

    // MARK: Core

    public func publish(_ message: BusMessage) throws(BusError) {
        try message.check()
        _ = try begin(.publish)
        let isKept: Bool? = state.withLock { state in
            if state.isConnected { return false }
            let size = Int(MemoryStream.size(of: message))
            guard state.offlineBytes + size <= Self.offlineLimit else { return nil }
            state.offlineBytes += size
            state.offline.append(message)
            return true
        }
        guard let isKept else {
            throw BusError(.notConnected, "no server can be reached and the buffer is full; try again")
        }
        if isKept { return }
        try server.perform { broker, now throws(BusError) in _ = broker.publish(message, now: now) }
    }

    public func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        guard SubjectPattern.isPattern(subject), queue.map(SubjectPattern.isSubject) ?? true else {
            throw BusError(.invalidArgument, "a subject has tokens between dots, and > only at the end")
        }
        if state.withLock({ $0.isClosed }) { throw BusError(.closed, "the bus was closed") }
        let subscription = MemoryBroker.Subscription(
            connection: connection, pattern: subject, queue: queue, limit: pendingLimit, onMessage: onMessage,
            onDrop: { [weak self] pattern, dropped in self?.tell(.slowConsumer(subject: pattern, dropped: dropped)) })
        let id = try server.perform { broker, _ throws(BusError) in broker.add(subscription) }
        return MemorySubscription(server: server, id: id)
    }

    public func request(_ message: BusMessage, timeout: Duration) async throws(BusError) -> BusMessage {
        try message.check()
        let fault = try begin(.request)
        let answer = OneShot<Result<BusMessage, BusError>>()
        let inbox = "_INBOX.\(connection).\(state.withLock { $0.makeID() })"
        let subscription = try subscribe(inbox) { answer.fulfil(.success($0)) }
        let waitID = state.withLock { state in
            let id = state.makeID()
            state.waiting[id] = { answer.fulfil(.failure($0)) }
            return id
        }
        defer {
            subscription.cancel()
            state.withLock { _ = $0.waiting.removeValue(forKey: waitID) }
        }
        var request = message
        request.replyTo = inbox
        let sent = request
        let isHeard = try server.perform { broker, now throws(BusError) in broker.publish(sent, now: now) }
        guard isHeard else { throw BusError(.noResponders, "nobody answers \(message.subject) at the moment") }
        if case .answerIsLost? = fault { throw BusError(.timeout, "no answer came in time") }
        let cancelTimer = server.clock.schedule(after: timeout) {
            answer.fulfil(.failure(BusError(.timeout, "no answer came in time")))
        }
        defer { cancelTimer() }
        return try await withTaskCancellationHandler {
            await answer.value()
        } onCancel: {
            answer.fulfil(.failure(BusError(.timeout, "the wait for an answer was cancelled")))
        }.get()
    }

    /// Returns when all that was published before has been given to the callbacks too: stronger than a server's flush,
    /// and what tests wait for.
    public func flush(timeout: Duration) async throws(BusError) {
        _ = try begin(.flush)
        let isDone = OneShot<Result<Void, BusError>>()
        try server.perform { broker, _ throws(BusError) in
            broker.enqueue(.action { isDone.fulfil(.success(())) })
        }
        let cancelTimer = server.clock.schedule(after: timeout) {
            isDone.fulfil(.failure(BusError(.timeout, "the messages were not delivered in time")))
        }
        defer { cancelTimer() }
        try await isDone.value().get()
    }

    // MARK: Key-value

    public func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket {
        try MemoryBucket.ensure(specification, on: self)
    }

    /// Remembers how to end a watch when the bus is closed.
    func addWatch(_ end: @escaping @Sendable () -> Void) -> UInt64 {
        state.withLock { state in
            let id = state.makeID()
            state.watches[id] = end
            return id
        }
    }

    func removeWatch(_ id: UInt64) {
        state.withLock { _ = $0.watches.removeValue(forKey: id) }
    }

    // MARK: The connection

    public var isConnected: Bool { state.withLock { $0.isConnected && !$0.isClosed } }

    public func connectionEvents() -> AsyncStream<BusConnectionEvent> {
        let (stream, continuation) = AsyncStream<BusConnectionEvent>.makeStream(
            bufferingPolicy: .bufferingNewest(256))
        let id: UInt64? = state.withLock { state in
            if state.isClosed { return nil }
            let id = state.makeID()
            state.listeners[id] = continuation
            return id
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }

    public func close(timeout: Duration) async {
        if isConnected { try? await flush(timeout: timeout) }
        let closed = state.withLock { state in
            let before = state
            state = State()
            state.isClosed = true
            return before
        }
        guard !closed.isClosed else { return }
        let error = BusError(.closed, "the bus was closed")
        try? server.perform { broker, _ throws(BusError) in
            broker.removeSubscriptions(of: connection)
            broker.failFetches(error) { _, fetch in fetch.connection == connection }
        }
        for end in closed.waiting.values { end(error) }
        for end in closed.watches.values { end() }
        for listener in closed.listeners.values {
            listener.yield(.closed)
            listener.finish()
        }
    }
}

private struct MemorySubscription: BusSubscription {
    let server: MemoryServer
    let id: UInt64

    func cancel() {
        try? server.perform { broker, _ throws(BusError) in broker.removeSubscription(id) }
    }
}

extension BusMessage {
    /// Whether a server would take it.
    func check() throws(BusError) {
        guard SubjectPattern.isSubject(subject) else {
            throw BusError(
                .invalidArgument, "a message's subject has tokens between dots, without wildcards and spaces")
        }
        for (name, value) in headers where !HeaderText.isName(name) || !HeaderText.isValue(value) {
            throw BusError(.invalidArgument, "a header's name is one word and its value one line")
        }
        guard MemoryStream.size(of: self) <= MemoryBus.maximumPayload + 4096,
            payload.count <= MemoryBus.maximumPayload
        else { throw BusError(.payloadTooLarge, "a message holds at most \(MemoryBus.maximumPayload) bytes") }
    }
}
