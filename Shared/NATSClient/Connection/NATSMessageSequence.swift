internal import Synchronization

/// The messages of a subscription, for one reader. At most a given number wait for it; what comes beyond is dropped,
/// counted, and reported as ``NATSConnectionEvent/slowConsumer(subject:dropped:)``.
///
/// The subscription ends with the sequence: when nobody holds it or its iterator any more, or through ``cancel()``.
public struct NATSMessageSequence: AsyncSequence, Sendable {
    public typealias Element = NATSMessage
    public typealias Failure = Never

    private let source: Source

    init(connection: NATSConnection, subject: String, queue: String?, bufferLimit: Int) throws(NATSError) {
        source = try Source(connection: connection, subject: subject, queue: queue, bufferLimit: bufferLimit)
    }

    /// Ends the subscription; what is buffered can still be read.
    public func cancel() { source.cancel() }

    public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let source: Source

        public mutating func next(isolation actor: isolated (any Actor)?) async -> NATSMessage? {
            while let item = await source.buffer.next() {
                switch item {
                case .element(let message): return message
                case .dropped(let count): source.report(count)
                }
            }
            return nil
        }

        public mutating func next() async -> NATSMessage? { await next(isolation: nil) }
    }

    fileprivate final class Source: Sendable {
        let buffer: BoundedBuffer<NATSMessage>
        private let core: ConnectionCore
        private let subject: String
        private let subscription = Mutex<NATSSubscription?>(nil)

        init(connection: NATSConnection, subject: String, queue: String?, bufferLimit: Int) throws(NATSError) {
            core = connection.core
            self.subject = subject
            buffer = BoundedBuffer(limit: bufferLimit, policy: .resume)
            let buffer = buffer
            let subscription = try connection.subscribe(subject, queue: queue) { buffer.push($0) }
            subscription.whenEnded { buffer.finish() }
            self.subscription.withLock { $0 = subscription }
        }

        func report(_ count: UInt64) { core.emit(.slowConsumer(subject: subject, dropped: count)) }

        func cancel() { subscription.withLock { $0.take() }?.cancel() }

        deinit { cancel() }
    }
}

extension NATSConnection {
    /// The messages on `subject` as a sequence for one reader, of which at most `bufferLimit` wait.
    public func messages(
        on subject: String, queue: String? = nil, bufferLimit: Int = 1024
    ) throws(NATSError) -> NATSMessageSequence {
        try NATSMessageSequence(connection: self, subject: subject, queue: queue, bufferLimit: bufferLimit)
    }
}
