public import EventBus
internal import Events
public import Logging
internal import NATSClient

/// The bus over NATS and JetStream.
///
/// Callbacks of subscriptions run on libnats's delivery thread, one for the whole process: they must not block. Requests
/// and everything of streams fail with `notConnected` at once while no server can be reached, also those that were
/// waiting when the connection was lost.
public final class NATSEventBus: EventBus {
    private let connection: NATSConnection
    private let jetStream: JetStream
    /// Reports to the log what would otherwise be seen by nobody who does not ask for events.
    private let reporter: Task<Void, Never>

    /// Begins to connect and returns; the bus connects in the background, for as long as it takes.
    ///
    /// A server that refuses this user, or its certificate that is not trusted, are told to `logger` and tried again:
    /// whoever runs the server may be about to mend it.
    /// - Throws: `invalidArgument` for what trying again will not mend: a malformed URL, an unusable file.
    public static func connect(_ configuration: NATSConfiguration, logger: Logger) throws(BusError) -> NATSEventBus {
        let options = NATSConnectionOptions(configuration)
        let connection = try translated { () throws(NATSError) in try NATSConnection(options) }
        return NATSEventBus(connection, timeout: configuration.requestTimeout, logger: logger)
    }

    private init(_ connection: NATSConnection, timeout: Duration, logger: Logger) {
        self.connection = connection
        jetStream = JetStream(connection, timeout: timeout)
        let events = connection.events()
        reporter = Task { for await event in events { NATSEventBus.report(event, to: logger) } }
    }

    deinit { reporter.cancel() }

    private static func report(_ event: NATSConnectionEvent, to logger: Logger) {
        switch event {
        case .connected: logger.info("connected to NATS")
        case .disconnected: logger.warning("lost the connection to NATS, trying again")
        case .slowConsumer(let subject, let dropped):
            logger.warning(
                "messages dropped, a subscription is too slow",
                metadata: ["nats.subject": "\(subject)", "nats.dropped": "\(dropped)"])
        case .lameDuck: logger.info("the NATS server is about to leave")
        case .shutOut(let error):
            logger.error(
                "cannot connect to NATS; trying again until it is mended",
                metadata: ["error": "\(error)", "advice": "\(NATSEventBus.advice(error))"])
        case .refused(let error):
            logger.warning("the NATS server refused something", metadata: ["error": "\(error)"])
        case .closed: logger.debug("closed the connection to NATS")
        }
    }

    static func advice(_ error: NATSError) -> String {
        switch error.code {
        case .permission: "the server refuses this user: check user and password in nats.url, or nats.credentials"
        case .insecure:
            "check that the server speaks TLS, that nats.tls.ca holds the certificate of who signed the server's, and "
                + "that nats.url names the server as its certificate does"
        default:
            "see the server's log; one that asks for a certificate gets it by nats.tls.certificate and nats.tls.key"
        }
    }

    /// Why no server lets us in, and what to do about it, each time that it is another reason; at once if it is so now.
    public func refusals() -> AsyncStream<BusError> {
        let events = connection.events()
        let (stream, continuation) = AsyncStream.makeStream(of: BusError.self, bufferingPolicy: .bufferingNewest(1))
        // Ended by the sequence that it feeds.
        let forwarder = Task {
            for await case .shutOut(let error) in events {
                continuation.yield(BusError(.permission, "\(error.message); \(NATSEventBus.advice(error))"))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in forwarder.cancel() }
        return stream
    }

    // MARK: Core

    public func publish(_ message: BusMessage) throws(BusError) {
        try translated { () throws(NATSError) in try connection.publish(NATSMessage(message)) }
    }

    public func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        let subscription = try translated { () throws(NATSError) in
            try connection.subscribe(subject, queue: queue) { onMessage(BusMessage($0)) }
        }
        return Subscription(subscription: subscription)
    }

    private struct Subscription: BusSubscription {
        let subscription: NATSSubscription
        func cancel() { subscription.cancel() }
    }

    public func request(_ message: BusMessage, timeout: Duration) async throws(BusError) -> BusMessage {
        try await translated { () async throws(NATSError) in
            BusMessage(try await connection.request(NATSMessage(message), timeout: timeout))
        }
    }

    public func flush(timeout: Duration) async throws(BusError) {
        try await translated { () async throws(NATSError) in try await connection.flush(timeout: timeout) }
    }

    // MARK: Streams

    @discardableResult
    public func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState {
        try await translated { () async throws(NATSError) in
            StreamState(try await jetStream.ensureStream(StreamConfiguration(specification)))
        }
    }

    public func streamState(_ name: String) async throws(BusError) -> StreamState {
        try await translated { () async throws(NATSError) in
            StreamState(try await jetStream.streamInformation(name))
        }
    }

    public func deleteStream(_ name: String) async throws(BusError) {
        try await translated { () async throws(NATSError) in try await jetStream.deleteStream(name) }
    }

    @discardableResult
    public func append(
        _ message: BusMessage, expecting: ExpectedSequence?
    ) async throws(BusError) -> AppendReceipt {
        try await translated { () async throws(NATSError) in
            var message = NATSMessage(message)
            if case .onSubject(let sequence) = expecting {
                message.headers["Nats-Expected-Last-Subject-Sequence"] = "\(sequence)"
            }
            let stored = try await jetStream.publish(message)
            return AppendReceipt(stream: stored.stream, sequence: stored.sequence, isDuplicate: stored.isDuplicate)
        }
    }

    @discardableResult
    public func append(inOrder messages: [BusMessage]) async throws(BusError) -> [AppendReceipt] {
        try await translated { () async throws(NATSError) in
            try await jetStream.publishInOrder(messages.map { NATSMessage($0) }).map {
                AppendReceipt(stream: $0.stream, sequence: $0.sequence, isDuplicate: $0.isDuplicate)
            }
        }
    }

    public func append(atOnce write: (_ add: @escaping (BusMessage) -> Void) -> Void) async throws(BusError) {
        try await translated { () async throws(NATSError) in
            try await jetStream.publishAtOnce { add in write { add(NATSMessage($0)) } }
        }
    }

    public func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage] {
        try await translated { () async throws(NATSError) in
            try await jetStream.messages(in: stream, subject: subject, after: after, limit: limit)
                .map(StoredMessage.init)
        }
    }

    public func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage? {
        try await translated { () async throws(NATSError) in
            try await jetStream.lastMessage(in: stream, subject: subject).map(StoredMessage.init)
        }
    }

    public func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError) {
        try await translated { () async throws(NATSError) in
            try await jetStream.deleteMessage(in: stream, sequence: sequence)
        }
    }

    public func purge(stream: String, subject: String?, keep: Int) async throws(BusError) {
        try await translated { () async throws(NATSError) in
            try await jetStream.purge(stream, subject: subject, keep: keep)
        }
    }

    public func subjectCounts(
        in stream: String, matching pattern: String
    ) async throws(BusError) -> [String: UInt64] {
        try await translated { () async throws(NATSError) in
            try await jetStream.subjectCounts(in: stream, matching: pattern)
        }
    }

    public func consumerState(_ name: String, of stream: String) async throws(BusError) -> ConsumerState {
        try await translated { () async throws(NATSError) in
            let found = try await jetStream.consumerInformation(name, of: stream)
            return ConsumerState(
                pending: found.pending, unacknowledged: found.unacknowledged, lastDelivered: found.lastDelivered,
                acknowledged: found.acknowledged)
        }
    }

    public func forgetRemoved(by consumer: String, of stream: String) async throws(BusError) {
        try await translated { () async throws(NATSError) in
            try await jetStream.forgetRemoved(by: consumer, of: stream)
        }
    }

    public func consumer(_ specification: ConsumerSpecification) async throws(BusError) -> any BusConsumer {
        try await translated { () async throws(NATSError) in
            NATSBusConsumer(consumer: try await jetStream.consumer(ConsumerConfiguration(specification)))
        }
    }

    // MARK: Key-value

    public func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket {
        try await translated { () async throws(NATSError) in
            var configuration = KeyValueStore.Configuration(bucket: specification.name)
            configuration.history = specification.history
            configuration.timeToLive = specification.timeToLive
            configuration.replicas = specification.replicas
            return NATSKeyValueBucket(store: try await jetStream.keyValue(configuration))
        }
    }

    // MARK: The connection

    public var taskExecutor: (any TaskExecutor)? { connection.taskExecutor }

    public var isConnected: Bool { connection.isConnected }

    public func connectionEvents() -> AsyncStream<BusConnectionEvent> {
        let events = connection.events()
        let (stream, continuation) = AsyncStream.makeStream(
            of: BusConnectionEvent.self, bufferingPolicy: .bufferingNewest(256))
        // Ended by the sequence that it feeds.
        let forwarder = Task {
            for await event in events {
                if let event = BusConnectionEvent(event) { continuation.yield(event) }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in forwarder.cancel() }
        return stream
    }

    public func reconnect() { connection.reconnect() }

    public func close(timeout: Duration) async { await connection.close(timeout: timeout) }
}

extension BusConnectionEvent {
    /// nil for what says nothing to services.
    init?(_ event: NATSConnectionEvent) {
        switch event {
        case .connected: self = .connected
        case .disconnected: self = .disconnected
        case .slowConsumer(let subject, let dropped): self = .slowConsumer(subject: subject, dropped: dropped)
        case .closed: self = .closed
        case .lameDuck, .shutOut, .refused: return nil
        }
    }
}
