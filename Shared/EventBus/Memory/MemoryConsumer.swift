internal import Events

/// A durable consumer of a ``MemoryStream``: which messages are out, and which one is next.
struct MemoryConsumer {
    var specification: ConsumerSpecification
    /// The first sequence that has never been delivered.
    private(set) var cursor: UInt64 = 1
    /// How many messages at or after the cursor match.
    private(set) var pending: UInt64 = 0
    private(set) var outstanding: [UInt64: Outstanding] = [:]

    struct Outstanding {
        /// How often it has been delivered.
        var attempt: Int
        /// When it may be delivered again.
        var due: Timestamp
    }

    /// A message to be handed out.
    struct Next {
        let message: StoredMessage
        let attempt: Int
        let pending: UInt64
    }

    init(_ specification: ConsumerSpecification, stream: MemoryStream) {
        self.specification = specification
        pending = UInt64(stream.matching(specification.filter, after: 0, limit: .max).count)
    }

    var state: ConsumerState {
        ConsumerState(
            pending: pending, unacknowledged: outstanding.count, lastDelivered: cursor - 1,
            acknowledged: (outstanding.keys.min() ?? cursor) - 1)
    }

    private func takes(_ message: StoredMessage) -> Bool {
        specification.filter.map { SubjectPattern.matches($0, message.message.subject) } ?? true
    }

    mutating func noteStored(_ message: StoredMessage) {
        if takes(message) { pending += 1 }
    }

    mutating func noteRemoved(_ message: StoredMessage) {
        outstanding[message.sequence] = nil
        if message.sequence >= cursor, takes(message) { pending -= 1 }
    }

    /// Takes over a changed specification.
    mutating func update(_ new: ConsumerSpecification, stream: MemoryStream) {
        specification = new
        pending = UInt64(stream.matching(new.filter, after: cursor - 1, limit: .max).count)
    }

    /// The next message to deliver, if there is one: those that come again first.
    mutating func next(in stream: MemoryStream, now: Timestamp) -> Next? {
        if let again = outstanding.filter({ $0.value.due <= now }).min(by: {
            ($0.value.due, $0.key) < ($1.value.due, $1.key)
        }), let message = stream[again.key] {
            let attempt = again.value.attempt + 1
            outstanding[again.key] = Outstanding(
                attempt: attempt, due: now.advanced(by: specification.acknowledgementWait))
            return Next(message: message, attempt: attempt, pending: pending)
        }
        guard outstanding.count < specification.maximumUnacknowledged, pending > 0,
            let message = stream.matching(specification.filter, after: cursor - 1, limit: 1).first
        else { return nil }
        cursor = message.sequence + 1
        pending -= 1
        outstanding[message.sequence] = Outstanding(
            attempt: 1, due: now.advanced(by: specification.acknowledgementWait))
        return Next(message: message, attempt: 1, pending: pending)
    }

    /// Gives up the messages that were delivered as often as they may be and whose wait is over. They stay in the
    /// stream.
    mutating func exhaust(now: Timestamp) -> [(sequence: UInt64, attempts: Int)] {
        guard let maximum = specification.maximumDeliveries else { return [] }
        let spent = outstanding.filter { $0.value.due <= now && $0.value.attempt >= maximum }
        for sequence in spent.keys { outstanding[sequence] = nil }
        return spent.map { ($0.key, $0.value.attempt) }.sorted { $0.0 < $1.0 }
    }

    mutating func settle(_ sequence: UInt64) { outstanding[sequence] = nil }

    /// Moves the time at which a message is delivered again; nothing happens if it is not out.
    mutating func postpone(_ sequence: UInt64, until due: Timestamp) { outstanding[sequence]?.due = due }

    /// When the next message that is out may be delivered again; those that may already wait for a fetch, not for time.
    func nextDue(after now: Timestamp) -> Timestamp? {
        outstanding.values.lazy.map(\.due).filter { $0 > now }.min()
    }
}
