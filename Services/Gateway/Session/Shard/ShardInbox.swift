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

    /// A delivery, and the shard's channel that it is for: nothing needs to be looked up for it.
    struct Item {
        let channel: ShardChannel
        let delivery: ChannelDelivery
    }

    private var items: [Item] = []
    private var bytes = 0
    private var outrun: [ObjectIdentifier: ShardChannel] = [:]
    private let maximumCount: Int
    private let maximumBytes: Int

    /// - Parameter maximumBytes: of payloads; a single larger one is taken into an empty inbox.
    package init(maximumCount: Int = 32_768, maximumBytes: Int = 64 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    mutating func append(_ delivery: ChannelDelivery, for channel: ShardChannel) -> Outcome {
        switch delivery {
        case .message(let message):
            // Once a channel lost a message, what follows it would be out of place.
            if isOutrun(channel) { return .dropped }
            let size = message.publication.payload.count
            guard hasRoom, bytes == 0 || bytes + size <= maximumBytes else { return drop(channel) }
            bytes += size
        case .presence:
            if isOutrun(channel) { return .dropped }
            guard hasRoom else { return drop(channel) }
        // Few, and somebody waits for it.
        case .started, .startFailed: break
        case .interrupted:
            // It comes down to the same.
            guard hasRoom else {
                _ = drop(channel)
                return .queued
            }
        }
        items.append(Item(channel: channel, delivery: delivery))
        return items.count == 1 ? .wake : .queued
    }

    private var hasRoom: Bool { items.count < maximumCount }

    private func isOutrun(_ channel: ShardChannel) -> Bool {
        !outrun.isEmpty && outrun[ObjectIdentifier(channel)] != nil
    }

    private mutating func drop(_ channel: ShardChannel) -> Outcome {
        outrun[ObjectIdentifier(channel)] = channel
        return .dropped
    }

    /// Removes and returns everything, in order, and the channels that lost something after it.
    mutating func take() -> (items: [Item], outrun: [ShardChannel]) {
        defer {
            // As many are likely to come again; more than a little is not kept for that.
            let room = min(items.count, 256)
            items = []
            items.reserveCapacity(room)
            bytes = 0
            outrun = [:]
        }
        return (items, Array(outrun.values))
    }
}
