import EventBus
import Events
import Synchronization

/// A connection of a process that dies: once it is armed, so many calls later, nothing that it asks for happens any more.
final class DyingBus: EventBus {
    enum Moment: String, CaseIterable, Sendable {
        /// The call does not happen.
        case before
        /// The call happens, and the process dies before it knows.
        case after
    }

    private struct State {
        /// How many calls there still are; nil while it is not armed.
        var left: Int?
        var moment = Moment.before
    }

    private let bus: MemoryBus
    private let state = Mutex(State())

    init(_ bus: MemoryBus) { self.bus = bus }

    /// From now on the `step`th call, from 1, is the last. Only the first arming counts.
    func arm(_ step: Int, _ moment: Moment) {
        state.withLock { if $0.left == nil { ($0.left, $0.moment) = (step, moment) } }
    }

    /// Whether the process died.
    var isDead: Bool { state.withLock { $0.left.map { $0 <= 0 } ?? false } }

    private static let death = BusError(.closed, "the process has died")

    func perform<Value>(_ operation: () async throws(BusError) -> Value) async throws(BusError) -> Value {
        let (left, moment) = state.withLock { state -> (Int?, Moment) in
            let left = state.left
            if let left { state.left = left - 1 }
            return (left, state.moment)
        }
        guard let left, left <= 1 else { return try await operation() }
        if left < 1 || moment == .before { throw Self.death }
        _ = try await operation()
        throw Self.death
    }

    func publish(_ message: BusMessage) throws(BusError) { try bus.publish(message) }
    func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        try bus.subscribe(subject, queue: queue, onMessage: onMessage)
    }
    func request(_ message: BusMessage, timeout: Duration) async throws(BusError) -> BusMessage {
        try await bus.request(message, timeout: timeout)
    }
    func flush(timeout: Duration) async throws(BusError) { try await bus.flush(timeout: timeout) }
    func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState {
        try await perform { () async throws(BusError) in try await bus.ensureStream(specification) }
    }
    func streamState(_ name: String) async throws(BusError) -> StreamState {
        try await perform { () async throws(BusError) in try await bus.streamState(name) }
    }
    func deleteStream(_ name: String) async throws(BusError) { try await bus.deleteStream(name) }
    func append(_ message: BusMessage, expecting: ExpectedSequence?) async throws(BusError) -> AppendReceipt {
        try await perform { () async throws(BusError) in try await bus.append(message, expecting: expecting) }
    }
    func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage] {
        try await perform { () async throws(BusError) in
            try await bus.messages(in: stream, subject: subject, after: after, limit: limit)
        }
    }
    func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage? {
        try await perform { () async throws(BusError) in try await bus.lastMessage(in: stream, subject: subject) }
    }
    func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError) {
        try await perform { () async throws(BusError) in
            try await bus.deleteMessage(in: stream, sequence: sequence)
        }
    }
    func purge(stream: String, subject: String?, keep: Int) async throws(BusError) {
        try await bus.purge(stream: stream, subject: subject, keep: keep)
    }
    func subjectCounts(in stream: String, matching pattern: String) async throws(BusError) -> [String: UInt64] {
        try await bus.subjectCounts(in: stream, matching: pattern)
    }

    func consumerState(_ name: String, of stream: String) async throws(BusError) -> ConsumerState {
        try await bus.consumerState(name, of: stream)
    }

    func consumer(_ specification: ConsumerSpecification) async throws(BusError) -> any BusConsumer {
        DyingConsumer(consumer: try await bus.consumer(specification), bus: self)
    }
    func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket {
        DyingBucket(bucket: try await bus.keyValue(specification), bus: self)
    }
    var isConnected: Bool { bus.isConnected }
    func reconnect() { bus.reconnect() }
    func connectionEvents() -> AsyncStream<BusConnectionEvent> { bus.connectionEvents() }
    func close(timeout: Duration) async { await bus.close(timeout: timeout) }
}

private struct DyingConsumer: BusConsumer {
    let consumer: any BusConsumer
    let bus: DyingBus

    func fetch(_ maximum: Int, wait: Duration) async throws(BusError) -> [Delivery] {
        guard !bus.isDead else { throw BusError(.closed, "the process has died") }
        return try await consumer.fetch(maximum, wait: wait).map { delivery in
            Delivery(
                message: delivery.message, sequence: delivery.sequence, attempt: delivery.attempt,
                storedAt: delivery.storedAt, pending: delivery.pending
            ) { [bus] answer throws(BusError) in
                try await bus.perform { () async throws(BusError) in
                    switch answer {
                    case .acknowledge: try await delivery.acknowledge()
                    case .retry(let delay): try await delivery.retry(after: delay)
                    case .extend: try await delivery.extend()
                    case .terminate: try await delivery.terminate()
                    }
                }
            }
        }
    }
}

private struct DyingBucket: KeyValueBucket {
    let bucket: any KeyValueBucket
    let bus: DyingBus

    var name: String { bucket.name }
    func get(_ key: String) async throws(BusError) -> KeyValueEntry? {
        try await bus.perform { () async throws(BusError) in try await bucket.get(key) }
    }
    func put(_ key: String, _ value: [UInt8]) async throws(BusError) -> UInt64 {
        try await bus.perform { () async throws(BusError) in try await bucket.put(key, value) }
    }
    func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(BusError) -> UInt64 {
        try await bus.perform { () async throws(BusError) in
            try await bucket.update(key, value, revision: revision)
        }
    }
    func delete(_ key: String) async throws(BusError) { try await bucket.delete(key) }
    func purge(_ key: String) async throws(BusError) { try await bucket.purge(key) }
    func history(_ key: String) async throws(BusError) -> [KeyValueEntry] { try await bucket.history(key) }
    func keys(matching filter: String) async throws(BusError) -> [String] { try await bucket.keys(matching: filter) }
    func watch(_ filter: String, bufferLimit: Int) async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try await bucket.watch(filter, bufferLimit: bufferLimit)
    }
}
