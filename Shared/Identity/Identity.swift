public import Events
public import JSON

/// Who a client is, as its token says.
public struct Identity: Sendable, Equatable {
    /// The user's id; nil for an anonymous client.
    public var user: String?
    public var roles: [String]
    /// What others see of the user in presence; an object.
    public var info: JSONValue?
    /// What the token allows beyond its channels' namespaces.
    public var capabilities: [Capability]
    /// When the token ends; nil is never.
    public var expiresAt: Timestamp?

    public init(
        user: String? = nil, roles: [String] = [], info: JSONValue? = nil, capabilities: [Capability] = [],
        expiresAt: Timestamp? = nil
    ) {
        self.user = user
        self.roles = roles
        self.info = info
        self.capabilities = capabilities
        self.expiresAt = expiresAt
    }

    /// A client without a token.
    public static let anonymous = Identity()

    public func has(role: String) -> Bool { roles.contains(role) }

    /// Whether one of the capabilities allows it. A namespace may allow it besides.
    public func allows(channel: ChannelName, operation: Capability.Operation) -> Bool {
        capabilities.contains { $0.allows(channel: channel, operation: operation) }
    }

    /// Whether the token has ended at `now`.
    public func isExpired(at now: Timestamp) -> Bool { expiresAt.map { $0 <= now } ?? false }
}
