/// The half of the bus that listens: subscriptions to core messages, and what happens to the connection by which they come.
///
/// Every ``EventBus`` is one. There are others for whoever gets very many messages, on a connection of their own: then order
/// holds per publisher and subscription as ever, and nothing is said about what another connection sees when.
///
/// Every method may be called from any thread or task.
public protocol MessageFeed: Sendable {
    /// Calls `onMessage` for every message on `subject` (which may hold `*` and a final `>`), one at a time, in order.
    /// With `queue`, each message goes to one member of the group of that name only.
    ///
    /// `onMessage` runs on a thread of the feed and holds up further messages until it returns: it must not block.
    /// Messages that come faster than that are kept up to a bound; beyond it they are dropped and reported as
    /// ``BusConnectionEvent/slowConsumer(subject:dropped:)``, or the server ends the connection, which is reported too.
    func subscribe(
        _ subject: String, queue: String?, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription

    /// The same for a receiver that knows what it subscribed to: its messages come without their subject. For very many
    /// subscriptions, each of which then costs less.
    func subscribe(_ subject: String, _ receiver: any MessageReceiver) throws(BusError) -> any BusSubscription

    /// Returns when the server knows every subscription that was made before, and the callbacks of all messages that it had
    /// sent by then have returned.
    func flush(timeout: Duration) async throws(BusError)

    /// Whether a server can be reached now.
    var isConnected: Bool { get }

    /// What happens to the connection from now on. Each call returns its own sequence, which keeps the newest 256.
    func connectionEvents() -> AsyncStream<BusConnectionEvent>

    /// Drops the connection and makes it again, with every subscription, as after a loss of it: for whoever has found that
    /// it looks alive and is not. Returns at once; nothing happens while there is none.
    func reconnect()
}

/// Something that happened to the connection between bus and server.
public enum BusConnectionEvent: Sendable, Equatable {
    /// The first connection, or one after a loss; every subscription is in place.
    case connected
    case disconnected
    /// Messages for a subscription were dropped since they came faster than they were taken; `dropped` counts those
    /// since the last report.
    case slowConsumer(subject: String, dropped: UInt64)
    case closed
}

/// Takes the messages of a subscription, under the rules of ``MessageFeed/subscribe(_:queue:onMessage:)``.
public protocol MessageReceiver: AnyObject, Sendable {
    /// - Parameter message: without its subject.
    func receive(_ message: BusMessage)

    /// A message for it comes in a moment, and others for others before: it may have the memory fetched that it will need
    /// then. It must not wait for anything.
    /// - Parameter step: how many references away that memory lies: 1 is the receiver itself, which is in no cache yet; 2,
    ///   a little later, what it refers to.
    func fetch(_ step: Int)
}

extension MessageReceiver {
    public func fetch(_ step: Int) {}
}

/// A running subscription.
public protocol BusSubscription: Sendable {
    /// Ends it. Its callback may run once more for a message that is being delivered. Doing it twice is harmless.
    func cancel()
}

extension MessageFeed {
    public func subscribe(
        _ subject: String, _ receiver: any MessageReceiver
    ) throws(BusError) -> any BusSubscription {
        try subscribe(subject, queue: nil) { message in
            var message = message
            message.subject = ""
            receiver.receive(message)
        }
    }

    public func subscribe(
        _ subject: String, onMessage: @escaping @Sendable (BusMessage) -> Void
    ) throws(BusError) -> any BusSubscription {
        try subscribe(subject, queue: nil, onMessage: onMessage)
    }
}
