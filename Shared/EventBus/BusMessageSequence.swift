internal import Synchronization

/// The messages of a subscription as a bounded asynchronous sequence, for one reader.
///
/// A reader that falls more than the buffer's limit behind loses the newest messages; how many, ``dropped`` says.
/// The subscription ends when the reader's task is cancelled, or when the sequence and its iterator are let go.
public struct BusMessageSequence: AsyncSequence, Sendable {
    public typealias Element = BusMessage
    public typealias Failure = Never

    private let stream: AsyncStream<BusMessage>
    private let count: DropCount

    fileprivate init(stream: AsyncStream<BusMessage>, count: DropCount) {
        self.stream = stream
        self.count = count
    }

    /// How many messages were dropped since the reader was too slow.
    public var dropped: UInt64 { count.value.load(ordering: .relaxed) }

    public func makeAsyncIterator() -> AsyncStream<BusMessage>.Iterator { stream.makeAsyncIterator() }
}

private final class DropCount: Sendable {
    let value = Atomic<UInt64>(0)
}

extension MessageFeed {
    /// Subscribes at once and returns what arrives from now on. See ``BusMessageSequence``.
    public func messages(
        on subject: String, queue: String? = nil, bufferLimit: Int = 1024
    ) throws(BusError) -> BusMessageSequence {
        let count = DropCount()
        let (stream, continuation) = AsyncStream<BusMessage>.makeStream(
            bufferingPolicy: .bufferingOldest(max(1, bufferLimit)))
        let subscription: any BusSubscription
        do throws(BusError) {
            subscription = try subscribe(subject, queue: queue) { message in
                if case .dropped = continuation.yield(message) { count.value.add(1, ordering: .relaxed) }
            }
        } catch {
            continuation.finish()
            throw error
        }
        continuation.onTermination = { _ in subscription.cancel() }
        return BusMessageSequence(stream: stream, count: count)
    }
}
