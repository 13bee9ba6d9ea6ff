package import Events
internal import GatewayWire
package import Identity

/// What decides for a session and is the same for all: permission, limits, and how tokens are checked.
package final class SessionRules: Sendable {
    package let policy: ChannelPolicy
    package let limits: GatewayLimits
    /// Whether a client may connect without a token.
    package let allowsAnonymous: Bool
    package let pingInterval: Duration
    package let version: String
    /// The gateway's own id among all gateways.
    package let node: String
    /// Checks a token. Pure: the moment is an argument.
    package let verify: @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity

    /// Checks a token for one channel. Pure as well.
    package let verifySubscription:
        @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> SubscriptionToken
    package let expiry: ExpiryRules
    /// How many commands a connection may send; nil is any number.
    let messageRate: TokenRate?
    let pingMilliseconds: Int64

    package init(
        policy: ChannelPolicy, limits: GatewayLimits, allowsAnonymous: Bool, pingInterval: Duration, version: String,
        node: String = "", expiry: ExpiryRules = ExpiryRules(),
        verify: @escaping @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity,
        verifySubscription:
            @escaping @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError)
            -> SubscriptionToken = { _, _ throws(IdentityError) in throw .unsupportedAlgorithm }
    ) {
        self.policy = policy
        self.limits = limits
        self.allowsAnonymous = allowsAnonymous
        self.pingInterval = pingInterval
        self.version = version
        self.node = node
        self.expiry = expiry
        messageRate = limits.connectionMessagesPerSecond.map {
            TokenRate(perSecond: Double($0), burst: Double($0 * 2))
        }
        let (seconds, attoseconds) = pingInterval.components
        pingMilliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        self.verify = verify
        self.verifySubscription = verifySubscription
    }
}

/// How long what has ended goes on, so that whoever renews it in time, or is told to by that very end, loses nothing.
package struct ExpiryRules: Sendable, Equatable {
    /// How long a connection or a subscription outlives its token, on protocols whose clients can send a new one: they
    /// do so when the old one ends.
    package var tokenGrace: Duration
    /// How long a subscription outlives the time that a hook gave it, while the service behind the hook cannot be asked.
    package var hookGrace: Duration
    /// How long before that time's end the hook is asked again: as long as its answer may take.
    package var hookLead: Duration

    /// How long after an attempt to ask that failed the next one follows.
    package static let retryInterval = Duration.seconds(2)

    package init(tokenGrace: Duration = .zero, hookGrace: Duration = .zero, hookLead: Duration = .seconds(5)) {
        self.tokenGrace = tokenGrace
        self.hookGrace = hookGrace
        self.hookLead = hookLead
    }
}

/// How a client of a protocol says what it wants.
package enum SessionManner: Sendable, Equatable {
    /// By commands; one that is refused is answered with an error, the connection goes on.
    case commands
    /// By commands, but who it is it says with the address that it opened; only a refusal of that ends the connection.
    case handshake
    /// By the address that it opened, once; a refusal ends the connection.
    case address
}
