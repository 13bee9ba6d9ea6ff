package import Events
internal import GatewayWire

/// What the hub has given to a shard that the shard has not taken yet.
///
/// Bounded: what is beyond the bound is dropped, and every channel that lost something counts as interrupted, so that its
/// subscribers begin anew and get from the log what they missed. Nothing is lost in silence.
package struct ShardInbox {
    /// What became of a delivery.
    package enum Outcome: Equatable {
        /// It is the first: the shard must be woken.
        case wake
        case queued
        case dropped
    }

    private var deliveries: [ChannelDelivery] = []
    private var bytes = 0
    private var outrun: Set<ChannelName> = []
    private let maximumCount: Int
    private let maximumBytes: Int

    /// - Parameter maximumBytes: of payloads; a single larger one is taken into an empty inbox.
    package init(maximumCount: Int = 32_768, maximumBytes: Int = 64 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package mutating func append(_ delivery: ChannelDelivery) -> Outcome {
        switch delivery {
        case .message(let message, let name):
            // Once a channel lost a message, what follows it would be out of place.
            if outrun.contains(name) { return .dropped }
            let size = message.publication.payload.count
            guard hasRoom, bytes == 0 || bytes + size <= maximumBytes else {
                outrun.insert(name)
                return .dropped
            }
            bytes += size
        case .presence(_, let name):
            if outrun.contains(name) { return .dropped }
            guard hasRoom else {
                outrun.insert(name)
                return .dropped
            }
        case .interrupted(let name, _):
            // It comes down to the same.
            guard hasRoom else {
                outrun.insert(name)
                return .queued
            }
        }
        deliveries.append(delivery)
        return deliveries.count == 1 ? .wake : .queued
    }

    private var hasRoom: Bool { deliveries.count < maximumCount }

    /// Removes and returns everything, in order, and the channels that lost something after it.
    package mutating func take() -> (deliveries: [ChannelDelivery], outrun: Set<ChannelName>) {
        defer {
            deliveries = []
            bytes = 0
            outrun = []
        }
        return (deliveries, outrun)
    }
}
