package import Events
package import JSON

/// A business event as the notifier took it from the stream.
package struct ReceivedEvent: Sendable, Equatable {
    package let event: BusinessEvent
    /// The same for every delivery of the same event, and different for different events: what ids are derived from.
    package let identity: String
    package let order: EventOrder

    package init(event: BusinessEvent, identity: String, order: EventOrder) {
        self.event = event
        self.identity = identity
        self.order = order
    }

    /// What rules see: the event's fields, and `event_type`, `event_id` and `event_time` unless it has such fields itself.
    package var visibleFields: JSONObject {
        let described: JSONObject = [
            "event_type": .string(event.type), "event_id": .string(identity),
            "event_time": .string(order.storedAt.description),
        ]
        return described.merging(event.fields)
    }
}

/// Where an event stands among the others: by when the stream took it, then by its sequence.
///
/// The sequence alone would not do: a stream that was deleted and made again counts from 1, and everything would look
/// older than what was handled before.
package struct EventOrder: Sendable, Hashable, Comparable {
    package let storedAt: Timestamp
    package let sequence: UInt64

    package init(storedAt: Timestamp, sequence: UInt64) {
        self.storedAt = storedAt
        self.sequence = sequence
    }

    package static func < (left: EventOrder, right: EventOrder) -> Bool {
        (left.storedAt, left.sequence) < (right.storedAt, right.sequence)
    }
}
