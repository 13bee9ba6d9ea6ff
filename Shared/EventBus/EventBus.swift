/// What services program against: everything that Apus asks of NATS, and no more.
///
/// Two implementations pass one contract suite: `NATSEventBus`, and ``MemoryBus`` for tests and single-process use.
///
/// **Core** messages (``publish(_:)``, ``MessageFeed/subscribe(_:queue:onMessage:)``, ``request(_:timeout:)``) are delivered
/// at most once to those who listen at that moment, in order per publisher and subscription; what was published before
/// ``MessageFeed/flush(timeout:)`` is with the server when that returns. **Streams** keep what was appended:
/// ``append(_:expecting:)`` returns when the message is stored; a durable consumer gets each message at least once.
/// **Key-value** buckets offer compare-and-set.
///
/// Every method may be called from any thread or task. Asynchronous calls throw ``BusError`` with code `notConnected` or
/// `timeout` while the server cannot be reached; subscriptions and consumers survive that and go on afterwards.
public protocol EventBus: MessageFeed {
    // MARK: Core

    /// Sends a message to whoever listens now. Does not wait; while the server is away, messages are buffered up to a
    /// bound, and beyond it this throws `notConnected`.
    func publish(_ message: BusMessage) throws(BusError)

    /// Sends a request and waits for the first answer.
    /// - Throws: `noResponders` at once if nobody listens, `timeout` if no answer comes in time.
    func request(_ message: BusMessage, timeout: Duration) async throws(BusError) -> BusMessage

    // MARK: Streams

    /// Makes the stream, or changes it to be as specified; doing it again changes nothing.
    /// - Throws: `specificationMismatch` if the server keeps something else than was asked for.
    @discardableResult
    func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState

    /// - Throws: `notFound` if there is no such stream.
    func streamState(_ name: String) async throws(BusError) -> StreamState

    /// Deletes the stream and all that it holds; nothing happens if there is none.
    func deleteStream(_ name: String) async throws(BusError)

    /// Publishes to the stream that takes the message's subject and returns when it is stored. A message whose
    /// `Nats-Msg-Id` the stream has seen within its duplicate window is not stored again.
    /// - Throws: `conflict` if `expecting` does not hold, `noResponders` if no stream takes the subject, `streamFull`.
    @discardableResult
    func append(_ message: BusMessage, expecting: ExpectedSequence?) async throws(BusError) -> AppendReceipt

    /// As ``append(_:expecting:)`` for several messages, which are stored in their order; sent together where the bus can do
    /// that, so that they take hardly longer than one.
    /// - Throws: the first error; what came before the message that failed is stored, and what came behind it is not unless
    ///   the server itself refused that one.
    @discardableResult
    func append(inOrder messages: [BusMessage]) async throws(BusError) -> [AppendReceipt]

    /// Appends messages that have nothing to do with one another, and returns when all of them are stored; sent together where the
    /// bus can do that, so that they take hardly longer than one. They are stored in their order, but for those that are not stored,
    /// which hold up none.
    /// - Parameter write: makes the messages one by one, so that there need not be all of them; called once.
    /// - Throws: why one was not stored; of the others it is not known then.
    func append(atOnce write: (_ add: @escaping (BusMessage) -> Void) -> Void) async throws(BusError)

    /// Up to `limit` messages of `stream` on `subject` (which may hold wildcards; nil is all) with a sequence greater
    /// than `after`, oldest first.
    func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage]

    /// The newest message of `stream` on `subject`; nil if there is none. Servers of NATS 2.9 find none either once the newest
    /// was removed by ``deleteMessage(in:sequence:)``, so this is for streams whose messages go by age, number or purges.
    func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage?

    /// Removes one message; nothing happens if it is not there.
    func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError)

    /// Removes the messages of `stream` on `subject` (nil is all), except for the newest `keep`.
    func purge(stream: String, subject: String?, keep: Int) async throws(BusError)

    /// How many messages of `stream` there are on each subject that matches `pattern`.
    /// - Throws: `notFound` if there is no such stream.
    func subjectCounts(in stream: String, matching pattern: String) async throws(BusError) -> [String: UInt64]

    /// - Throws: `notFound` if there is no such consumer.
    func consumerState(_ name: String, of stream: String) async throws(BusError) -> ConsumerState

    /// Makes a consumer forget what it has delivered and its stream no longer holds. A server of NATS 2.9 that was killed may
    /// remember that, and then hardly gets to deliver again what is there: for whoever has a server again. Harmless otherwise.
    /// - Throws: `notFound` if there is no such consumer.
    func forgetRemoved(by consumer: String, of stream: String) async throws(BusError)

    /// Makes the durable consumer, or changes it to be as specified.
    func consumer(_ specification: ConsumerSpecification) async throws(BusError) -> any BusConsumer

    // MARK: Key-value

    /// Makes the bucket if it is not there.
    func keyValue(_ specification: BucketSpecification) async throws(BusError) -> any KeyValueBucket

    // MARK: Waiting

    /// Where tasks that mostly wait for this bus run with the fewest changes of thread, as long as the bus lives; nil if
    /// anywhere is as good. What runs there must not block.
    var taskExecutor: (any TaskExecutor)? { get }

    // MARK: The end

    /// Stops taking messages, delivers what is buffered both ways, at most for `timeout`, and closes the connection.
    func close(timeout: Duration) async
}

/// What must be the last sequence on a message's subject for it to be appended.
public enum ExpectedSequence: Sendable, Equatable {
    /// The last message on the subject has this sequence; 0 is: there is none.
    case onSubject(UInt64)
}

public struct AppendReceipt: Sendable, Equatable {
    public var stream: String
    public var sequence: UInt64
    /// Whether the stream already held a message of the same `Nats-Msg-Id`; `sequence` is then that one's.
    public var isDuplicate: Bool

    public init(stream: String, sequence: UInt64, isDuplicate: Bool) {
        self.stream = stream
        self.sequence = sequence
        self.isDuplicate = isDuplicate
    }
}

extension EventBus {
    public var taskExecutor: (any TaskExecutor)? { nil }

    @discardableResult
    public func append(inOrder messages: [BusMessage]) async throws(BusError) -> [AppendReceipt] {
        var receipts: [AppendReceipt] = []
        for message in messages { receipts.append(try await append(message, expecting: nil)) }
        return receipts
    }

    @discardableResult
    public func append(_ message: BusMessage) async throws(BusError) -> AppendReceipt {
        try await append(message, expecting: nil)
    }
}
