package import GatewayWire

/// How a backend publishes a message.
package struct BackendPublication: Sendable, Equatable {
    package var event: String?
    package var tags: [String: String]
    /// The same key again on the same channel is the same message, on channels with history, for two minutes.
    package var idempotencyKey: String?
    /// Whether it is for those who are there now only.
    package var skipsHistory: Bool
    package var trace: TraceContext?

    /// Whether `name` may be an event's.
    package static func isEvent(_ name: String) -> Bool { EventName.isValid(name) }

    package init(
        event: String? = nil, tags: [String: String] = [:], idempotencyKey: String? = nil, skipsHistory: Bool = false,
        trace: TraceContext? = nil
    ) {
        self.event = event
        self.tags = tags
        self.idempotencyKey = idempotencyKey
        self.skipsHistory = skipsHistory
        self.trace = trace
    }
}
