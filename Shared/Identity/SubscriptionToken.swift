public import Events

/// What a token for one channel allows: its user to be on that channel, until it ends.
public struct SubscriptionToken: Sendable, Equatable {
    /// Whose connection may use it; nil for an anonymous one.
    public var user: String?
    /// The channel as the token writes it.
    public var channel: String
    /// When the subscription ends unless its token is renewed; nil is never.
    public var expiresAt: Timestamp?

    public init(user: String?, channel: String, expiresAt: Timestamp? = nil) {
        self.user = user
        self.channel = channel
        self.expiresAt = expiresAt
    }
}
