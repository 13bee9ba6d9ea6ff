package import Events
package import JSON

/// How far a schedule has come, over all workers; changed by compare-and-set.
package struct ScheduleState: Sendable, Hashable {
    /// How late a firing may come without counting as missed.
    package static let grace = Duration.seconds(60)

    /// Up to here every firing has been dealt with.
    package var through: Timestamp
    /// The newest firing for which a task was submitted; nil is none yet.
    package var last: Timestamp?

    /// A schedule that nobody has seen before begins now: what it would have fired earlier was not missed.
    package init(beginningAt now: Timestamp) {
        through = now
        last = nil
    }

    /// What is to be done at a moment.
    package struct Plan: Sendable, Hashable {
        /// For which firings to submit the task, oldest first.
        package var firings: [Timestamp]
        /// How many firings are left out, by policy.
        package var skipped: Int
        /// The state to write when that is done.
        package var next: ScheduleState
    }

    /// - Returns: nil if nothing is due.
    package func plan(_ definition: ScheduleDefinition, now: Timestamp) -> Plan? {
        guard let first = definition.firings.next(after: through), first <= now else { return nil }
        // The clock of whoever wrote the state may have been ahead; then there is nothing above.
        let (firings, skipped): ([Timestamp], Int)
        switch definition.missed {
        case .all:
            (firings, skipped) = definition.firings.all(after: through, through: now, limit: ScheduleDefinition.limit)
        case .once:
            (firings, skipped) = definition.firings.all(after: through, through: now, limit: 1)
        case .skip:
            // A firing exactly as late as is allowed is not missed.
            let edge = max(through, now.advanced(by: .zero - ScheduleState.grace).advanced(by: .nanoseconds(-1)))
            firings =
                definition.firings.all(after: edge, through: now, limit: ScheduleDefinition.limit).firings
            skipped = definition.firings.all(after: through, through: edge, limit: 0).omitted
        }
        var next = self
        next.through = now
        next.last = firings.last ?? last
        return Plan(firings: firings, skipped: skipped, next: next)
    }
}

// MARK: - JSON

extension ScheduleState {
    package var json: JSONValue {
        ["through": .string(through.description), "last": last.map { .string($0.description) } ?? .null]
    }

    package init?(json: JSONValue) {
        guard let through = json["through"]?.stringValue.flatMap(Timestamp.init(rfc3339:)) else { return nil }
        self.through = through
        last = json["last"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
    }
}
