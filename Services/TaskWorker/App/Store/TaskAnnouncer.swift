internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Publishes each change of a task to its channel and its user's, once and in order.
///
/// Every version of a record has its own message id on each channel, so that publishing it again, by the same worker
/// after a lost answer or by another one, stores nothing. Whoever replaces somebody else's version makes sure with
/// ``announceIfMissing(_:)`` that it is out before its own is: what the other then publishes late is a duplicate. A task that
/// was first recorded when it was over is told in one message, whose id is the last version's; its record says so, and whoever
/// tells it again uses the same.
///
/// A NATS server that is started again knows the ids only of messages that it still keeps, and of a busy user's channel that
/// is not many. So who does not know whether a version was told looks at what both channels hold; where the user's has let go of
/// too much to say, the task's own says it, which is told right behind and kept longest. A process that stood still since it
/// looked has to look again: others may have gone on without what it found to be missing, and it would come behind what is later.
struct TaskAnnouncer: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    let publisher: ChannelPublisher
    private let clock: any BusClock
    /// For how long a look counts: far less than it takes others to notice that somebody is gone.
    private let patience: Duration

    /// - Parameter lease: how long it takes others to notice that a worker is gone.
    init(bus: any EventBus, subjects: Subjects, clock: any BusClock, lease: Duration) {
        self.bus = bus
        self.subjects = subjects
        self.clock = clock
        patience = lease / 4
        publisher = ChannelPublisher(bus: bus, subjects: subjects)
    }

    func announce(_ status: TaskStatus) async throws(BusError) { try await announce([status]) }

    /// Tells several versions of one task, in their order.
    /// - Parameter isRepeated: it was tried before, and it is not known whether they were told.
    func announce(_ statuses: [TaskStatus], isRepeated: Bool = false) async throws(BusError) {
        guard let id = statuses.first?.id else { return }
        try await publish { () throws(BusError) in
            let user = statuses.lazy.compactMap(\.user).first
            let told = isRepeated ? try await told(id, user: user) : nil
            return statuses.reduce(into: Telling()) { $0.add($1, ifMissing: told) }
        }
    }

    /// Tells all that several tasks have been, of each in one message to everybody and for the first time.
    /// - Throws: what went wrong with one of them; of none is it known then whether it was told: see ``announceAgain(_:)``.
    func announce(atOnce records: [TaskRecord]) async throws(BusError) {
        try await publisher.publish(atOnceIn: Telling.namespaces(of: records)) { add in
            for record in records {
                for publication in Telling(atOnce: record, ifMissing: nil).publications { add(publication) }
            }
        }
    }

    /// - Parameter look: says what is missing now.
    private func publish(_ look: () async throws(BusError) -> Telling) async throws(BusError) {
        let start = clock.now
        let publications = try await look().publications
        guard !publications.isEmpty else { return }
        guard start.duration(to: clock.now) < patience else {
            throw BusError(.timeout, "what was told was looked at too long ago; look again")
        }
        try await publisher.publish(inOrder: publications)
    }

    /// Tells a record's version that somebody else should have told, and what should have been told before it, unless it or a
    /// later one is on the task's channel.
    func announceIfMissing(_ record: TaskRecord) async throws(BusError) {
        guard try await !isAnnounced(record.status) else { return }
        try await announceAgain(record)
    }

    /// Tells all that a record says, of which it is not known whether, and to whom, it was told.
    func announceAgain(_ record: TaskRecord) async throws(BusError) {
        guard record.isToldAtOnce else { return try await announce(record.statuses, isRepeated: true) }
        try await publish { () throws(BusError) in
            Telling(atOnce: record, ifMissing: try await told(record.id, user: record.user))
        }
    }

    /// Whether anything has been told of the task. What the streams forget when their server is killed, ids of messages that
    /// are no longer kept among them, this does not depend on.
    func isTold(_ id: TaskID) async throws(BusError) -> Bool { try await newest(id) != nil }

    /// Tells that the task is queued, unless something has been told of it.
    func announceQueued(_ status: TaskStatus) async throws(BusError) {
        try await publish { () throws(BusError) in
            var telling = Telling()
            if try await !isTold(status.id) { telling.add(status, ifMissing: nil) }
            return telling
        }
    }

    func isAnnounced(_ status: TaskStatus) async throws(BusError) -> Bool {
        guard let newest = try await newest(status.id) else { return false }
        return status.version <= newest
    }

    /// The newest version on the task's channel.
    private func newest(_ id: TaskID) async throws(BusError) -> TaskStatus.Version? {
        do throws(BusError) {
            let last = try await bus.lastMessage(
                in: subjects.historyStream(namespace: id.channel.namespace), subject: subjects.channel(id.channel))
            return last?.version(of: id)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// What has been told to both.
    private func told(_ id: TaskID, user: String?) async throws(BusError) -> ToldVersions {
        var told = ToldVersions(onTask: try await newest(id))
        if let channel = user.flatMap({ try? ChannelName(namespace: "user", name: $0) }) {
            told.toUser = try await toldToUser(id, on: channel)
        }
        return told
    }

    private func toldToUser(_ id: TaskID, on channel: ChannelName) async throws(BusError) -> ToldVersions.ToUser {
        let limit = 1000
        let kept: [StoredMessage]
        do throws(BusError) {
            kept = try await bus.messages(
                in: subjects.historyStream(namespace: channel.namespace), subject: subjects.channel(channel), after: 0,
                limit: limit)
        } catch  where error.code == .notFound {
            return .nothing(after: Timestamp(seconds: 0))
        }
        if let version = kept.reversed().lazy.compactMap({ $0.version(of: id) }).first { return .version(version) }
        // A channel that is not full has let go of nothing but what is old.
        guard kept.count < limit else { return .unknown }
        guard kept.count > TaskAnnouncer.userHistory, let oldest = kept.first else {
            return .nothing(after: Timestamp(seconds: 0))
        }
        return .nothing(after: oldest.storedAt)
    }

    /// How many messages of a user's channel are kept.
    private static let userHistory = ChannelHistory.builtIn["user"]?.size ?? 0
}

extension StoredMessage {
    /// Which version of the task it tells; nil if it is none of the task's.
    fileprivate func version(of id: TaskID) -> TaskStatus.Version? {
        message.headers[HeaderName.messageID].flatMap { Telling.version(of: id, $0) }
    }
}
