public import EventBus
internal import Synchronization

/// A bus that fails as a test says, over any other: streams, buckets and the answers to deliveries included.
public final class FaultyBus: EventBus {
    public enum Fault: Sendable, Equatable {
        /// It throws, and nothing has happened.
        case refused(BusError)
        /// It has happened, and throws: the answer was lost.
        case unanswered(BusError)
        /// It throws, and what was appended is stored just before the next message on its subject: it was on its way. Of any
        /// other call as ``refused(_:)``.
        case late(BusError)

        /// Both, as a server that is away and an answer that does not come.
        public static let outages: [Fault] = [
            .refused(BusError(.notConnected, "no server")), .unanswered(BusError(.timeout, "no answer")),
        ]
    }

    let bus: any EventBus
    private let fault: @Sendable (BusCall) -> Fault?
    /// What is on its way, by its subject.
    private let late = Mutex<[String: [BusMessage]]>([:])

    /// - Parameter fault: asked before each call, from any thread; nil lets it through.
    public init(_ bus: any EventBus, fault: @escaping @Sendable (BusCall) -> Fault?) {
        self.bus = bus
        self.fault = fault
    }

    /// The connection of a process that dies.
    public convenience init(_ bus: any EventBus, dyingAt crash: CrashPoint) {
        self.init(bus) { crash.fault($0) }
    }

    fileprivate func perform<Value>(
        _ operation: BusCall.Operation, _ target: String, _ body: () async throws(BusError) -> Value
    ) async throws(BusError) -> Value {
        try await perform(fault(BusCall(operation: operation, target: target)), body)
    }

    private func perform<Value>(
        _ fault: Fault?, _ body: () async throws(BusError) -> Value
    ) async throws(BusError) -> Value {
        switch fault {
        case nil: return try await body()
        case .refused(let error), .late(let error): throw error
        case .unanswered(let error):
            _ = try await body()
            throw error
        }
    }

    private func performNow<Value>(
        _ operation: BusCall.Operation, _ target: String, _ body: () throws(BusError) -> Value
    ) throws(BusError) -> Value {
        switch fault(BusCall(operation: operation, target: target)) {
        case nil: return try body()
        case .refused(let error), .late(let error): throw error
        case .unanswered(let error):
            _ = try body()
            throw error
        }
    }

    // MARK: Core

    public func publish(_ message: BusMessage) throws(BusError) {
        try performNow(.publish, message.subject) { () throws(BusError) in try bus.publish(message) }
    }

    public func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        try performNow(.subscribe, subject) { () throws(BusError) in
            try bus.subscribe(subject, queue: queue, onMessage: onMessage)
        }
    }

    public func request(_ message: BusMessage, timeout: Duration) async throws(BusError) -> BusMessage {
        try await perform(.request, message.subject) { () async throws(BusError) in
            try await bus.request(message, timeout: timeout)
        }
    }

    public func flush(timeout: Duration) async throws(BusError) {
        try await perform(.flush, "") { () async throws(BusError) in try await bus.flush(timeout: timeout) }
    }

    // MARK: Streams

    public func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState {
        try await perform(.ensureStream, specification.name) { () async throws(BusError) in
            try await bus.ensureStream(specification)
        }
    }

    public func streamState(_ name: String) async throws(BusError) -> StreamState {
        try await perform(.streamState, name) { () async throws(BusError) in try await bus.streamState(name) }
    }

    public func deleteStream(_ name: String) async throws(BusError) {
        try await perform(.deleteStream, name) { () async throws(BusError) in try await bus.deleteStream(name) }
    }

    public func append(_ message: BusMessage, expecting: ExpectedSequence?) async throws(BusError) -> AppendReceipt {
        let fault = fault(BusCall(operation: .append, target: message.subject))
        if case .late(let error) = fault {
            late.withLock { $0[message.subject, default: []].append(message) }
            throw error
        }
        return try await perform(fault) { () async throws(BusError) in
            for earlier in late.withLock({ $0.removeValue(forKey: message.subject) }) ?? [] {
                _ = try? await bus.append(earlier)
            }
            return try await bus.append(message, expecting: expecting)
        }
    }

    public func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage] {
        try await perform(.messages, stream) { () async throws(BusError) in
            try await bus.messages(in: stream, subject: subject, after: after, limit: limit)
        }
    }

    public func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage? {
        try await perform(.lastMessage, subject) { () async throws(BusError) in
            try await bus.lastMessage(in: stream, subject: subject)
        }
    }

    public func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError) {
        try await perform(.deleteMessage, stream) { () async throws(BusError) in
            try await bus.deleteMessage(in: stream, sequence: sequence)
        }
    }

    public func purge(stream: String, subject: String?, keep: Int) async throws(BusError) {
        try await perform(.purgeStream, stream) { () async throws(BusError) in
            try await bus.purge(stream: stream, subject: subject, keep: keep)
        }
    }

    public func subjectCounts(
        in stream: String, matching pattern: String
    ) async throws(BusError) -> [String: UInt64] {
        try await perform(.subjectCounts, stream) { () async throws(BusError) in
            try await bus.subjectCounts(in: stream, matching: pattern)
        }
    }

    public func consumerState(_ name: String, of stream: String) async throws(BusError) -> ConsumerState {
        try await perform(.consumerState, name) { () async throws(BusError) in
            try await bus.consumerState(name, of: stream)
        }
    }

    public func forgetRemoved(by consumer: String, of stream: String) async throws(BusError) {
        try await perform(.forgetRemoved, consumer) { () async throws(BusError) in
            try await bus.forgetRemoved(by: consumer, of: stream)
        }
    }

    public func consumer(_ specification: ConsumerSpecification) async throws(BusError) -> any BusConsumer {
        try await perform(.consumer, specification.name) { () async throws(BusError) in
            FaultyConsumer(consumer: try await bus.consumer(specification), name: specification.name, bus: self)
        }
    }

    // MARK: Key-value

    public func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket {
        try await perform(.keyValue, specification.name) { () async throws(BusError) in
            FaultyBucket(bucket: try await bus.keyValue(specification), bus: self)
        }
    }

    // MARK: Passed on

    public var taskExecutor: (any TaskExecutor)? { bus.taskExecutor }
    public var isConnected: Bool { bus.isConnected }
    public func reconnect() { bus.reconnect() }
    public func connectionEvents() -> AsyncStream<BusConnectionEvent> { bus.connectionEvents() }
    public func close(timeout: Duration) async { await bus.close(timeout: timeout) }
}

private struct FaultyConsumer: BusConsumer {
    let consumer: any BusConsumer
    let name: String
    let bus: FaultyBus

    func fetch(_ maximum: Int, wait: Duration) async throws(BusError) -> [Delivery] {
        let deliveries = try await bus.perform(.fetch, name) { () async throws(BusError) in
            try await consumer.fetch(maximum, wait: wait)
        }
        return deliveries.map { delivery in
            Delivery(
                message: delivery.message, sequence: delivery.sequence, attempt: delivery.attempt,
                storedAt: delivery.storedAt, pending: delivery.pending
            ) { [bus] answer throws(BusError) in
                let subject = delivery.message.subject
                switch answer {
                case .acknowledge:
                    try await bus.perform(.acknowledge, subject) { () async throws(BusError) in
                        try await delivery.acknowledge()
                    }
                case .acknowledgeUnconfirmed:
                    try await bus.perform(.acknowledge, subject) { () async throws(BusError) in
                        try await delivery.acknowledgeUnconfirmed()
                    }
                case .retry(let delay):
                    try await bus.perform(.retry, subject) { () async throws(BusError) in
                        try await delivery.retry(after: delay)
                    }
                case .extend:
                    try await bus.perform(.extend, subject) { () async throws(BusError) in
                        try await delivery.extend()
                    }
                case .terminate:
                    try await bus.perform(.terminate, subject) { () async throws(BusError) in
                        try await delivery.terminate()
                    }
                }
            }
        }
    }
}

private struct FaultyBucket: KeyValueBucket {
    let bucket: any KeyValueBucket
    let bus: FaultyBus

    var name: String { bucket.name }

    func get(_ key: String) async throws(BusError) -> KeyValueEntry? {
        try await bus.perform(.get, key) { () async throws(BusError) in try await bucket.get(key) }
    }

    func put(_ key: String, _ value: [UInt8]) async throws(BusError) -> UInt64 {
        try await bus.perform(.put, key) { () async throws(BusError) in try await bucket.put(key, value) }
    }

    func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(BusError) -> UInt64 {
        try await bus.perform(.update, key) { () async throws(BusError) in
            try await bucket.update(key, value, revision: revision)
        }
    }

    func delete(_ key: String) async throws(BusError) {
        try await bus.perform(.delete, key) { () async throws(BusError) in try await bucket.delete(key) }
    }

    func purge(_ key: String) async throws(BusError) {
        try await bus.perform(.purgeKey, key) { () async throws(BusError) in try await bucket.purge(key) }
    }

    func history(_ key: String) async throws(BusError) -> [KeyValueEntry] {
        try await bus.perform(.history, key) { () async throws(BusError) in try await bucket.history(key) }
    }

    func keys(matching filter: String) async throws(BusError) -> [String] {
        try await bus.perform(.keys, filter) { () async throws(BusError) in try await bucket.keys(matching: filter) }
    }

    func watch(_ filter: String, bufferLimit: Int) async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try await bus.perform(.watch, filter) { () async throws(BusError) in
            try await bucket.watch(filter, bufferLimit: bufferLimit)
        }
    }
}
