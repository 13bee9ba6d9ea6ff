internal import EventBus
internal import Events
internal import TaskWorkerCore

/// The messages that tell versions of one task, in the order in which they are told: of each version the user first, and then the
/// task's channel.
///
/// They are told at once, and the two channels are in two streams: of those that were on their way when a server is killed, either
/// may hold more than the other. Where that is not known, both are looked at: see ``TaskAnnouncer``.
struct Telling: Sendable {
    private(set) var publications: [ChannelPublisher.Publication] = []

    private static let userNamespace = "user"

    /// Of the channels on which tasks are told.
    static func namespaces(of records: [TaskRecord]) -> [String] {
        records.contains { $0.user != nil } ? [userNamespace, TaskID.namespace] : [TaskID.namespace]
    }

    init() {}

    /// All that a record says, in one message.
    init(atOnce record: TaskRecord, ifMissing told: ToldVersions?) {
        let latest = record.status
        add(latest, ifMissing: told, overtaken: record.statuses.dropLast().map { $0.serialized(differingFrom: latest) })
    }

    /// - Parameters:
    ///   - told: what was told already; nil if this is told for the first time.
    ///   - overtaken: see ``ChannelPublisher/Publication/overtaken``.
    mutating func add(_ status: TaskStatus, ifMissing told: ToldVersions?, overtaken: [[UInt8]] = []) {
        let payload = status.serialized()
        if let user = status.user, let channel = try? ChannelName(namespace: Telling.userNamespace, name: user),
            told?.isToldToUser(status) != true
        {
            publications.append(Telling.publication(of: status, payload, on: channel, as: "user", overtaken))
        }
        if told?.isTold(status) != true {
            publications.append(Telling.publication(of: status, payload, on: status.id.channel, as: "task", overtaken))
        }
    }

    private static func publication(
        of status: TaskStatus, _ payload: [UInt8], on channel: ChannelName, as target: String, _ overtaken: [[UInt8]]
    ) -> ChannelPublisher.Publication {
        // One event, though it goes to two channels: whoever follows both knows it by its id.
        let id = "\(status.id)/\(status.attempt)/\(status.sequence)"
        var headers = BusHeaders()
        headers.describe(
            CloudEvent(id: id, source: "apus/worker", type: TaskStatus.event, time: status.updatedAt))
        return ChannelPublisher.Publication(
            payload, on: channel, event: TaskStatus.event, messageID: "\(id)/\(target)", headers: headers,
            overtaken: overtaken)
    }

    /// The version of the task that a message with this id tells; nil for a message that is none of the task's.
    static func version(of id: TaskID, _ messageID: String) -> TaskStatus.Version? {
        let parts = messageID.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == id.description, let attempt = Int(parts[1]), let sequence = Int(parts[2])
        else { return nil }
        return TaskStatus.Version(attempt: attempt, sequence: sequence)
    }
}
