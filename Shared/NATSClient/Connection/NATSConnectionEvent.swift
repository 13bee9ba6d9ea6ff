/// Something that happened to a connection.
public enum NATSConnectionEvent: Sendable, Equatable {
    /// The first connection, or one after a loss. Every subscription is in place again.
    case connected
    case disconnected
    /// Messages of a subscription came faster than its callback took them; `dropped` counts those since the last report.
    case slowConsumer(subject: String, dropped: UInt64)
    /// The server is about to leave and asks its clients to go elsewhere.
    case lameDuck
    /// A server refused something that was sent before, for instance a subject this user may not use, or this user.
    case refused(NATSError)
    /// The end, asked for by the owner.
    case closed
}
