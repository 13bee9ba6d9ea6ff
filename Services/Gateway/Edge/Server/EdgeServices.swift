package import Events
package import GatewaySession
package import Identity

/// What the edge's HTTP routes ask of the rest of the gateway.
package struct EdgeServices: Sendable {
    package var backend: ChannelBackend
    package var hub: Hub
    package var presence: PresenceService
    package var control: ControlService
    package var policy: ChannelPolicy
    package var users: UserRegistry
    package var metrics: GatewayMetrics
    package var clock: GatewayClock
    package var node: String
    /// Requests to and from other gateways.
    package var nodes: NodeRequests
    package var version: String
    package var allowsAnonymous: Bool
    package var verify: @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity
    /// Makes a token; nil when the gateway has no secret to sign with.
    package var issueToken: (@Sendable (_ user: String, _ roles: [String], _ expiresAt: Timestamp) -> String)?
    /// Appends a business event and returns when it is stored. With `isRepeatable`, the same id within the stream's
    /// duplicate window is stored once.
    package var appendEvent: @Sendable (_ event: CloudEvent, _ isRepeatable: Bool) async throws -> Void

    package init(
        backend: ChannelBackend, hub: Hub, presence: PresenceService, control: ControlService, policy: ChannelPolicy,
        users: UserRegistry, metrics: GatewayMetrics, clock: GatewayClock,
        node: String, nodes: NodeRequests, version: String, allowsAnonymous: Bool,
        verify: @escaping @Sendable (_ token: String, _ now: Timestamp) throws(IdentityError) -> Identity,
        issueToken: (@Sendable (_ user: String, _ roles: [String], _ expiresAt: Timestamp) -> String)?,
        appendEvent: @escaping @Sendable (_ event: CloudEvent, _ isRepeatable: Bool) async throws -> Void
    ) {
        self.backend = backend
        self.hub = hub
        self.presence = presence
        self.control = control
        self.policy = policy
        self.users = users
        self.metrics = metrics
        self.clock = clock
        self.node = node
        self.nodes = nodes
        self.version = version
        self.allowsAnonymous = allowsAnonymous
        self.verify = verify
        self.issueToken = issueToken
        self.appendEvent = appendEvent
    }
}
