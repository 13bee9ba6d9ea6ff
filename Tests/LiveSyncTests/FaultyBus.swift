import EventBus
import Events
import Synchronization

/// A bus whose streams fail as a test says, before or after the server has done what was asked.
final class FaultyBus: EventBus {
    enum Fault: CaseIterable {
        /// Nothing was done.
        case refused
        /// It was done, and the answer got lost.
        case unanswered
    }

    private let bus: MemoryBus
    /// Asked before each call of a stream; nil lets it through.
    private let fault: Mutex<@Sendable (_ call: String) -> Fault?>

    init(_ bus: MemoryBus, fault: @escaping @Sendable (String) -> Fault?) {
        self.bus = bus
        self.fault = Mutex(fault)
    }

    private func failing<Value>(
        _ call: String, _ operation: () async throws(BusError) -> Value
    ) async throws(BusError) -> Value {
        switch fault.withLock({ $0 })(call) {
        case nil: return try await operation()
        case .refused: throw BusError(.notConnected, "no server")
        case .unanswered:
            _ = try await operation()
            throw BusError(.timeout, "no answer")
        }
    }

    func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState {
        try await failing("ensure") { () async throws(BusError) in try await bus.ensureStream(specification) }
    }

    func streamState(_ name: String) async throws(BusError) -> StreamState {
        try await failing("state") { () async throws(BusError) in try await bus.streamState(name) }
    }

    func append(_ message: BusMessage, expecting: ExpectedSequence?) async throws(BusError) -> AppendReceipt {
        try await failing("append") { () async throws(BusError) in
            try await bus.append(message, expecting: expecting)
        }
    }

    func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage] {
        try await failing("messages") { () async throws(BusError) in
            try await bus.messages(in: stream, subject: subject, after: after, limit: limit)
        }
    }

    func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage? {
        try await failing("last") { () async throws(BusError) in
            try await bus.lastMessage(in: stream, subject: subject)
        }
    }

    // MARK: Passed on

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

    func deleteStream(_ name: String) async throws(BusError) { try await bus.deleteStream(name) }

    func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError) {
        try await bus.deleteMessage(in: stream, sequence: sequence)
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
        try await bus.consumer(specification)
    }

    func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket {
        try await bus.keyValue(specification)
    }

    var isConnected: Bool { bus.isConnected }

    func reconnect() { bus.reconnect() }
    func connectionEvents() -> AsyncStream<BusConnectionEvent> { bus.connectionEvents() }

    func close(timeout: Duration) async { await bus.close(timeout: timeout) }
}

/// The same numbers for the same seed, everywhere (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
