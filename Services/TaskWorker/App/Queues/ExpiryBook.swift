internal import EventBus
internal import Events
internal import TaskWorkerCore

/// Which tasks that wait in queues expire when: a stream of empty messages whose subjects say it. Only tasks that a worker
/// has put into their queues are in it.
struct ExpiryBook: Sendable {
    /// As long as tasks are remembered. What expires later is looked at when its turn comes.
    static let horizon = TaskStore.retention

    let bus: any EventBus
    let subjects: Subjects

    static func specification(_ subjects: Subjects) -> StreamSpecification {
        StreamSpecification(
            name: subjects.expiringStream, subjects: [subjects.expiring(">")], maximumMessagesPerSubject: 1,
            maximumAge: horizon + .seconds(86_400))
    }

    func note(_ record: TaskRecord, expiring moment: Timestamp, now: Timestamp) async throws(BusError) {
        guard now.duration(to: moment) < ExpiryBook.horizon else { return }
        // What has expired already is looked for from now on.
        let entry = ExpiryEntry(at: max(moment, now), user: TaskStore.userToken(record.user), id: record.id)
        try await bus.append(BusMessage(subject: subjects.expiring(entry.subject)))
    }

    /// All that came due between two moments and has not been taken out.
    func due(from start: Timestamp, through end: Timestamp) async throws(BusError) -> [ExpiryEntry] {
        let prefix = subjects.expiring("")
        var entries: [ExpiryEntry] = []
        for pattern in ExpiryEntry.patterns(from: start, through: end) {
            let counts = try await bus.subjectCounts(
                in: subjects.expiringStream, matching: subjects.expiring(pattern))
            entries += counts.keys.compactMap { ExpiryEntry(subject: $0.dropFirst(prefix.count)) }
                .filter { $0.isDue(end) }
        }
        return entries
    }

    func remove(_ entry: ExpiryEntry) async throws(BusError) {
        try await bus.purge(stream: subjects.expiringStream, subject: subjects.expiring(entry.subject), keep: 0)
    }
}
