package import Events

/// Says when a task expires, as a subject that sorts it by time: `<hour>.<slot>.<milliseconds>.<user>.<id>`, so that what is
/// due now is found by asking for a slot of ten seconds, and what came due long ago by asking for its hour.
package struct ExpiryEntry: Sendable, Hashable {
    /// In milliseconds.
    private static let (slotLength, hourLength) = (Int64(10_000), Int64(3_600_000))
    /// More slots than this are asked for by the hour.
    private static let maximumSlots: Int64 = 6

    /// Milliseconds since 1970, rounded up, so that it is never early.
    private let milliseconds: Int64
    /// The token of the task's user in the key of its record.
    package let user: String
    package let id: TaskID

    package init(at moment: Timestamp, user: String, id: TaskID) {
        milliseconds = moment.nanoseconds / 1_000_000 + (moment.nanoseconds % 1_000_000 > 0 ? 1 : 0)
        self.user = user
        self.id = id
    }

    package func isDue(_ now: Timestamp) -> Bool { milliseconds <= now.nanoseconds / 1_000_000 }

    package var subject: String {
        let (hour, slot) = (milliseconds / ExpiryEntry.hourLength, milliseconds / ExpiryEntry.slotLength)
        return "\(hour).\(slot).\(milliseconds).\(user).\(id)"
    }

    /// Reads what ``subject`` wrote; nil if it is none.
    package init?(subject: some StringProtocol) {
        let parts = subject.split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, let milliseconds = Int64(parts[2]), !parts[3].isEmpty, let id = TaskID(String(parts[4]))
        else { return nil }
        self.milliseconds = milliseconds
        user = String(parts[3])
        self.id = id
    }

    /// What to ask for to find all that came due from one moment to another.
    package static func patterns(from start: Timestamp, through end: Timestamp) -> [String] {
        let (first, last) = (max(0, start.nanoseconds / 1_000_000), max(0, end.nanoseconds / 1_000_000))
        guard first <= last else { return [] }
        let slots = (first / slotLength)...(last / slotLength)
        if slots.upperBound - slots.lowerBound < maximumSlots {
            return slots.map { "\($0 * slotLength / hourLength).\($0).>" }
        }
        return ((first / hourLength)...(last / hourLength)).map { "\($0).>" }
    }
}
