internal import Dispatch
internal import EventBus
internal import Events
internal import Synchronization

/// What several subscriptions receive, in one bounded sequence for one reader.
final class Inbox: Sendable {
    struct Item: Sendable {
        let channel: ChannelName
        let message: BusMessage
    }

    /// The messages; nil twice a second, so that the reader can look after other things.
    let items: AsyncStream<Item?>
    private let continuation: AsyncStream<Item?>.Continuation
    private let dropped = Atomic<Int>(0)
    // Only kept and cancelled, both of which are safe from any thread.
    private nonisolated(unsafe) let timer: any DispatchSourceTimer

    init(limit: Int) {
        (items, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limit))
        timer = DispatchSource.makeTimerSource(queue: .global())
        timer.schedule(deadline: .now() + .milliseconds(500), repeating: .milliseconds(500))
        timer.setEventHandler { [continuation] in continuation.yield(nil) }
        timer.resume()
    }

    deinit { timer.cancel() }

    /// From any thread; does not block.
    func add(_ item: Item) {
        if case .dropped = continuation.yield(item) { dropped.add(1, ordering: .relaxed) }
    }

    /// How many were dropped since the last call.
    func takeDropped() -> Int { dropped.exchange(0, ordering: .relaxed) }
}
