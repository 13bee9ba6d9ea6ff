internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

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

    func announce(_ status: TaskStatus) async throws(BusError) { try await announce([status]) }

    /// Tells several versions of one task, in their order and at once. Of each the user is told first, so that the version on
    /// the task's channel shows that both were told.
    func announce(_ statuses: [TaskStatus]) async throws(BusError) {
        var publications: [ChannelPublisher.Publication] = []
        for status in statuses { TaskAnnouncer.add(status, to: &publications) }
        try await publisher.publish(inOrder: publications)
    }

    private static func add(_ status: TaskStatus, to publications: inout [ChannelPublisher.Publication]) {
        let payload = status.serialized()
        // One event, though it goes to two channels: whoever follows both knows it by its id.
        var headers = BusHeaders()
        headers.describe(
            CloudEvent(
                id: TaskAnnouncer.eventID(status), source: "apus/worker", type: TaskStatus.event,
                time: status.updatedAt))
        if let user = status.user, let channel = try? ChannelName(namespace: "user", name: user) {
            publications.append(
                ChannelPublisher.Publication(
                    payload, on: channel, event: TaskStatus.event, messageID: TaskAnnouncer.messageID(status, "user"),
                    headers: headers))
        }
        publications.append(
            ChannelPublisher.Publication(
                payload, on: status.id.channel, event: TaskStatus.event,
                messageID: TaskAnnouncer.messageID(status, "task"), headers: headers))
    }

    /// Tells a version that somebody else should have told, unless it is the newest on the task's channel; and that the task
    /// was queued, if nothing at all is there.
    func announceIfMissing(_ status: TaskStatus) async throws(BusError) {
        switch try await newest(status.id) {
        case TaskAnnouncer.messageID(status, "task")?: return
        case nil where status.attempt > 0 || status.sequence > 0: try await announce([status.whenQueued, status])
        default: try await announce(status)
        }
    }

    /// Whether anything has been told of the task. What the streams forget when their server is killed, ids of messages that
    /// are no longer kept among them, this does not depend on.
    func isTold(_ id: TaskID) async throws(BusError) -> Bool { try await newest(id) != nil }

    /// Tells that the task is queued, unless something has been told of it.
    func announceQueued(_ status: TaskStatus) async throws(BusError) {
        if try await !isTold(status.id) { try await announce(status) }
    }

    func isAnnounced(_ status: TaskStatus) async throws(BusError) -> Bool {
        try await newest(status.id) == TaskAnnouncer.messageID(status, "task")
    }

    /// The id of the newest message on the task's channel.
    private func newest(_ id: TaskID) async throws(BusError) -> String? {
        do throws(BusError) {
            let last = try await bus.lastMessage(
                in: subjects.historyStream(namespace: id.channel.namespace), subject: subjects.channel(id.channel))
            return last?.message.headers[HeaderName.messageID]
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private static func messageID(_ status: TaskStatus, _ target: String) -> String {
        "\(eventID(status))/\(target)"
    }

    private static func eventID(_ status: TaskStatus) -> String {
        "\(status.id)/\(status.attempt)/\(status.sequence)"
    }
}
