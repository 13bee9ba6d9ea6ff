public import Events
public import JSON

/// Who a client is, as its token says.
///
/// A copy is a reference to the same values, so that the connections of one token keep them once.
public struct Identity: Sendable, Equatable {
    private struct Values: Sendable, Equatable {
        var user: String?
        var roles: [String]
        var info: JSONValue?
        var capabilities: [Capability]
        var expiresAt: Timestamp?
    }

    private final class Storage: Sendable {
        let values: Values

        init(_ values: Values) { self.values = values }
    }

    private var storage: Storage

    public init(
        user: String? = nil, roles: [String] = [], info: JSONValue? = nil, capabilities: [Capability] = [],
        expiresAt: Timestamp? = nil
    ) {
        storage = Storage(
            Values(user: user, roles: roles, info: info, capabilities: capabilities, expiresAt: expiresAt))
    }

    private mutating func change(_ body: (inout Values) -> Void) {
        var values = storage.values
        body(&values)
        storage = Storage(values)
    }

    /// A client without a token.
    public static let anonymous = Identity()

    /// The user's id; nil for an anonymous client.
    public var user: String? {
        get { storage.values.user }
        set { change { $0.user = newValue } }
    }

    public var roles: [String] {
        get { storage.values.roles }
        set { change { $0.roles = newValue } }
    }

    /// What others see of the user in presence; an object.
    public var info: JSONValue? {
        get { storage.values.info }
        set { change { $0.info = newValue } }
    }

    /// What the token allows beyond its channels' namespaces.
    public var capabilities: [Capability] {
        get { storage.values.capabilities }
        set { change { $0.capabilities = newValue } }
    }

    /// When the token ends; nil is never.
    public var expiresAt: Timestamp? {
        get { storage.values.expiresAt }
        set { change { $0.expiresAt = newValue } }
    }

    public static func == (left: Identity, right: Identity) -> Bool {
        left.storage === right.storage || left.storage.values == right.storage.values
    }

    public func has(role: String) -> Bool { roles.contains(role) }

    /// Whether one of the capabilities allows it. A namespace may allow it besides.
    public func allows(channel: ChannelName, operation: Capability.Operation) -> Bool {
        capabilities.contains { $0.allows(channel: channel, operation: operation) }
    }

    /// Whether the token has ended at `now`.
    public func isExpired(at now: Timestamp) -> Bool { expiresAt.map { $0 <= now } ?? false }
}
