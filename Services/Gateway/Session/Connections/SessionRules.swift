package import Events
internal import GatewayWire
package import Identity

/// What decides for a session and is the same for all: permission, limits, and how tokens are checked.
package struct SessionRules: Sendable {
    package var policy: ChannelPolicy
    package var limits: GatewayLimits
    /// Whether a client may connect without a token.
    package var allowsAnonymous: Bool
    package var pingInterval: Duration
    package var version: String
    /// Checks a token. Pure: the moment is an argument.
    package var verify: @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity

    package init(
        policy: ChannelPolicy, limits: GatewayLimits, allowsAnonymous: Bool, pingInterval: Duration, version: String,
        verify: @escaping @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity
    ) {
        self.policy = policy
        self.limits = limits
        self.allowsAnonymous = allowsAnonymous
        self.pingInterval = pingInterval
        self.version = version
        self.verify = verify
    }
}

/// How a client of a protocol says what it wants.
package enum SessionManner: Sendable, Equatable {
    /// By commands; one that is refused is answered with an error, the connection goes on.
    case commands
    /// By the address that it opened, once; a refusal ends the connection.
    case address
}
