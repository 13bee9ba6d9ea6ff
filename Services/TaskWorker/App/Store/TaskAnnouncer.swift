internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Publishes each change of a task to its channel and its user's, once and in order.
///
/// Every version of a record has its own message id on each channel, so that publishing it again, by the same worker
/// after a lost answer or by another one, stores nothing. Whoever replaces somebody else's version makes sure with
/// ``announceIfMissing(_:)`` that it is out before its own is: what the other then publishes late is a duplicate.
///
/// A NATS server that is started again knows the ids only of messages that it still keeps, and of a busy user's channel that
/// is not many. So who does not know whether a version was told looks at the newest on the task's own channel, which is told
/// last and kept longest.
struct TaskAnnouncer: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    let publisher: ChannelPublisher

    init(bus: any EventBus, subjects: Subjects) {
        self.bus = bus
        self.subjects = subjects
        publisher = ChannelPublisher(bus: bus, subjects: subjects)
    }

    func announce(_ status: TaskStatus) async throws(BusError) { try await announce([status]) }

    /// Tells several versions of one task, in their order and at once. Of each the user is told first, so that the version on
    /// the task's channel shows that both were told.
    /// - Parameter isRepeated: it was tried before, and it is not known whether they were told.
    func announce(_ statuses: [TaskStatus], isRepeated: Bool = false) async throws(BusError) {
        guard isRepeated, let id = statuses.first?.id else { return try await publish(statuses, ifMissing: nil) }
        let user = statuses.lazy.compactMap(\.user).first
        try await publish(statuses, ifMissing: try await told(id, user: user))
    }

    private func publish(_ statuses: [TaskStatus], ifMissing told: ToldVersions?) async throws(BusError) {
        var publications: [ChannelPublisher.Publication] = []
        var whole: ChannelPublisher.Publication?
        if let told, let last = statuses.last, told.mayBeForgotten(last),
            let channel = last.user.flatMap({ try? ChannelName(namespace: "user", name: $0) })
        {
            // A batch that was cut off may have told its user all in one message, which the channel has let go of since. Its id is
            // known longer, so the same message says it once.
            whole = TaskAnnouncer.publication(of: last, last.serialized(), on: channel, as: "user")
            whole?.overtaken = statuses.dropLast().map { $0.serialized(differingFrom: last) }
        }
        if let whole { publications.append(whole) }
        for status in statuses {
            let payload = status.serialized()
            if whole == nil, let user = status.user, let channel = try? ChannelName(namespace: "user", name: user),
                told?.isToldToUser(status) != true
            {
                publications.append(TaskAnnouncer.publication(of: status, payload, on: channel, as: "user"))
            }
            if told?.isTold(status) != true {
                publications.append(TaskAnnouncer.publication(of: status, payload, on: status.id.channel, as: "task"))
            }
        }
        if !publications.isEmpty { try await publisher.publish(inOrder: publications) }
    }

    /// What became of one task since anything was told of it.
    struct Course: Sendable {
        /// What it has been meanwhile: told in one message with the latest.
        var overtaken: [TaskStatus]
        var latest: TaskStatus
    }

    /// Tells how several tasks have fared, at once and each for the first time.
    /// - Returns: of each, whether it is known to be told to everybody; if not, it is to be told as what may have been.
    func announce(together courses: some Collection<Course>) async -> [Bool] {
        var publications: [ChannelPublisher.Publication] = []
        var owners: [Int] = []
        publications.reserveCapacity(courses.count)
        owners.reserveCapacity(courses.count)
        for (number, course) in courses.enumerated() {
            let latest = course.latest
            let overtaken = course.overtaken.map { $0.serialized(differingFrom: latest) }
            let payload = latest.serialized()
            func tell(_ channel: ChannelName, as target: String) {
                var publication = TaskAnnouncer.publication(of: latest, payload, on: channel, as: target)
                publication.overtaken = overtaken
                publications.append(publication)
                owners.append(number)
            }
            // As for one alone, the user first.
            if let user = latest.user, let channel = try? ChannelName(namespace: "user", name: user) {
                tell(channel, as: "user")
            }
            tell(latest.id.channel, as: "task")
        }
        var isTold = Array(repeating: true, count: courses.count)
        for (owner, result) in zip(owners, await publisher.publish(together: publications)) {
            if case .failure = result { isTold[owner] = false }
        }
        return isTold
    }

    private static func publication(
        of status: TaskStatus, _ payload: [UInt8], on channel: ChannelName, as target: String
    ) -> ChannelPublisher.Publication {
        // One event, though it goes to two channels: whoever follows both knows it by its id.
        var headers = BusHeaders()
        headers.describe(
            CloudEvent(
                id: TaskAnnouncer.eventID(status), source: "apus/worker", type: TaskStatus.event,
                time: status.updatedAt))
        return ChannelPublisher.Publication(
            payload, on: channel, event: TaskStatus.event, messageID: TaskAnnouncer.messageID(status, target),
            headers: headers)
    }

    /// Tells a record's version that somebody else should have told, and what should have been told before it, unless it or a
    /// later one is on the task's channel.
    func announceIfMissing(_ record: TaskRecord) async throws(BusError) {
        guard try await !isAnnounced(record.status) else { return }
        try await announce(record.statuses, isRepeated: true)
    }

    /// Whether anything has been told of the task. What the streams forget when their server is killed, ids of messages that
    /// are no longer kept among them, this does not depend on.
    func isTold(_ id: TaskID) async throws(BusError) -> Bool { try await newest(id) != nil }

    /// Tells that the task is queued, unless something has been told of it.
    func announceQueued(_ status: TaskStatus) async throws(BusError) {
        if try await !isTold(status.id) { try await announce(status) }
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
            return last?.message.headers[HeaderName.messageID].flatMap { TaskAnnouncer.version(of: id, $0) }
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
        let newest = kept.last { message in TaskAnnouncer.version(of: id, message) != nil }
        if let version = newest.flatMap({ TaskAnnouncer.version(of: id, $0) }) { return .version(version) }
        // A channel that is not full has let go of nothing but what is old.
        guard kept.count < limit else { return .unknown }
        guard kept.count > TaskAnnouncer.userHistory, let oldest = kept.first else {
            return .nothing(after: Timestamp(seconds: 0))
        }
        return .nothing(after: oldest.storedAt)
    }

    /// How many messages of a user's channel are kept.
    private static let userHistory = ChannelHistory.builtIn["user"]?.size ?? 0

    private static func version(of id: TaskID, _ stored: StoredMessage) -> TaskStatus.Version? {
        stored.message.headers[HeaderName.messageID].flatMap { version(of: id, $0) }
    }

    private static func messageID(_ status: TaskStatus, _ target: String) -> String {
        "\(eventID(status))/\(target)"
    }

    private static func eventID(_ status: TaskStatus) -> String {
        "\(status.id)/\(status.attempt)/\(status.sequence)"
    }

    /// The version of the task that a message with this id tells; nil for a message that is none of the task's.
    private static func version(of id: TaskID, _ messageID: String) -> TaskStatus.Version? {
        let parts = messageID.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == id.description, let attempt = Int(parts[1]), let sequence = Int(parts[2])
        else { return nil }
        return TaskStatus.Version(attempt: attempt, sequence: sequence)
    }
}
