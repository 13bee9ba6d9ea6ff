internal import EventBus
internal import Events
internal import JSON

/// Publishes each change of a task to its channel and its user's, once and in order.
///
/// Every version of a record has its own message id on each channel, so that publishing it again, by the same worker
/// after a lost answer or by another one, stores nothing. Whoever replaces somebody else's version makes sure with
/// ``announceIfMissing(_:)`` that it is out before its own is: what the other then publishes late is a duplicate.
struct TaskAnnouncer: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    let publisher: ChannelPublisher

    init(bus: any EventBus, subjects: Subjects) {
        self.bus = bus
        self.subjects = subjects
        publisher = ChannelPublisher(bus: bus, subjects: subjects)
    }

    /// Tells the user first, so that the version on the task's channel shows that both were told.
    func announce(_ status: TaskStatus) async throws(BusError) {
        let payload = status.json.serialized()
        // One event, though it goes to two channels: whoever follows both knows it by its id.
        var headers = BusHeaders()
        headers.describe(
            CloudEvent(
                id: TaskAnnouncer.eventID(status), source: "apus/worker", type: TaskStatus.event,
                time: status.updatedAt))
        if let user = status.user, let channel = try? ChannelName(namespace: "user", name: user) {
            try await publisher.publish(
                payload, on: channel, event: TaskStatus.event, messageID: TaskAnnouncer.messageID(status, "user"),
                headers: headers)
        }
        try await publisher.publish(
            payload, on: status.id.channel, event: TaskStatus.event,
            messageID: TaskAnnouncer.messageID(status, "task"), headers: headers)
    }

    /// Tells a version that somebody else should have told, unless it is the newest on the task's channel.
    func announceIfMissing(_ status: TaskStatus) async throws(BusError) {
        if try await !isAnnounced(status) { try await announce(status) }
    }

    func isAnnounced(_ status: TaskStatus) async throws(BusError) -> Bool {
        do throws(BusError) {
            let last = try await bus.lastMessage(
                in: subjects.historyStream(namespace: status.id.channel.namespace),
                subject: subjects.channel(status.id.channel))
            return last?.message.headers[HeaderName.messageID] == TaskAnnouncer.messageID(status, "task")
        } catch  where error.code == .notFound {
            return false
        }
    }

    private static func messageID(_ status: TaskStatus, _ target: String) -> String {
        "\(eventID(status))/\(target)"
    }

    private static func eventID(_ status: TaskStatus) -> String {
        "\(status.id)/\(status.attempt)/\(status.sequence)"
    }
}
