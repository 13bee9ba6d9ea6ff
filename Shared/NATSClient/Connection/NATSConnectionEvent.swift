/// Something that happened to a connection.
public enum NATSConnectionEvent: Sendable, Equatable {
    /// The first connection, or one after a loss. Every subscription is in place again.
    case connected
    case disconnected
    /// Messages of a subscription came faster than its callback took them; `dropped` counts those since the last report.
    case slowConsumer(subject: String, dropped: UInt64)
    /// The server is about to leave and asks its clients to go elsewhere.
    case lameDuck
    /// No server lets us in, for a reason that passes only when somebody changes something: `permission` for this user,
    /// `insecure` for TLS. Attempts go on; told once until one succeeds or the reason is another.
    case shutOut(NATSError)
    /// A server refused something that was sent before, for instance a subject this user may not use.
    case refused(NATSError)
    /// The end, asked for by the owner.
    case closed
}
