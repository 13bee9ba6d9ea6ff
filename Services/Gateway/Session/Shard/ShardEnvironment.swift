package import Events
internal import GatewayWire
package import Logging

/// What all shards of a gateway share.
package struct ShardEnvironment: Sendable {
    package var rules: SessionRules
    package var hub: Hub
    package var backend: ChannelBackend
    package var presence: PresenceService
    package var users: UserRegistry
    package var metrics: GatewayMetrics
    package var clock: GatewayClock
    package var makeClientID: @Sendable () -> RandomID
    /// Where randomness comes from; tests have their own.
    package var random: @Sendable () -> UInt64
    package var logger: Logger

    package init(
        rules: SessionRules, hub: Hub, backend: ChannelBackend, presence: PresenceService, users: UserRegistry,
        metrics: GatewayMetrics, clock: GatewayClock, makeClientID: @escaping @Sendable () -> RandomID,
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }, logger: Logger
    ) {
        self.rules = rules
        self.hub = hub
        self.backend = backend
        self.presence = presence
        self.users = users
        self.metrics = metrics
        self.clock = clock
        self.makeClientID = makeClientID
        self.random = random
        self.logger = logger
    }
}

/// The two clocks that a gateway reads; tests have their own.
package struct GatewayClock: Sendable {
    /// Monotonic, for deadlines and rates.
    package var moment: @Sendable () -> Moment
    /// The wall's, for tokens and histories.
    package var time: @Sendable () -> Timestamp

    package init(moment: @escaping @Sendable () -> Moment, time: @escaping @Sendable () -> Timestamp) {
        self.moment = moment
        self.time = time
    }
}

/// The environment's randomness, for what shuffles and chooses.
struct EnvironmentGenerator: RandomNumberGenerator {
    let source: @Sendable () -> UInt64

    mutating func next() -> UInt64 { source() }
}
