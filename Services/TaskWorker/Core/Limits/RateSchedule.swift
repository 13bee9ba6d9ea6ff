package import Events
package import JSON

/// When tasks of a name that is limited in its rate may begin, for all workers: what the bucket holds of it. Slots are
/// given out one after the other, one interval apart.
package struct RateSchedule: Sendable, Hashable {
    /// How far ahead slots are given out. What would come later asks again, so that little is lost when a task is
    /// cancelled, and a changed rate takes effect soon.
    package static let horizon = Duration.seconds(30)
    /// How long after its moment a slot may be used. A task that comes later needs another, or many that were held up
    /// together would begin together.
    package static let tolerance = Duration.seconds(1)

    /// The first moment that has not been given to anybody.
    package private(set) var next: Timestamp

    package init(next: Timestamp = Timestamp(nanoseconds: 0)) { self.next = next }

    /// Takes up to `count` slots, none sooner than `now`.
    /// - Returns: those within the horizon, earliest first.
    package mutating func reserve(_ count: Int, rate: TaskRate, now: Timestamp) -> [Timestamp] {
        let end = now.advanced(by: RateSchedule.horizon)
        // What a clock that was wrong or a rate that was lower has given out further ahead does not bind us.
        var slot = min(max(next, now), end.advanced(by: rate.interval))
        var slots: [Timestamp] = []
        while slots.count < count, slot <= end {
            slots.append(slot)
            slot = slot.advanced(by: rate.interval)
        }
        next = slot
        return slots
    }

    /// Whether a slot may be used at `now`.
    package static func isUsable(_ slot: Timestamp, now: Timestamp) -> Bool {
        slot <= now && slot.duration(to: now) <= tolerance
    }

    package var json: JSONValue { ["next": .string(next.description)] }

    package init?(json: JSONValue) {
        guard let next = json["next"]?.stringValue.flatMap(Timestamp.init(rfc3339:)) else { return nil }
        self.next = next
    }
}
