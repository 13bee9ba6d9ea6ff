/// Where on the bus everything is: the subjects and stream names of one deployment.
///
/// All subjects begin with the deployment's prefix (`bus.prefix`, by default `apus`), all streams and buckets with the
/// same in upper case, so that several deployments share one NATS account without meeting.
public struct Subjects: Sendable, Hashable {
    public let prefix: String

    public static let standard = Subjects(uncheckedPrefix: "apus")

    /// - Returns: nil unless `prefix` is one token of letters, digits, `_` or `-`.
    public init?(prefix: String) {
        guard !prefix.isEmpty, SubjectToken.encode(prefix) == prefix, !prefix.utf8.contains(UInt8(ascii: ".")) else {
            return nil
        }
        self.prefix = prefix
    }

    private init(uncheckedPrefix: String) { prefix = uncheckedPrefix }

    // MARK: Channels

    /// `apus.channel.<namespace>.<name>`: publishing here reaches everybody on the channel.
    public func channel(_ channel: ChannelName) -> String {
        "\(prefix).channel.\(channel.namespace).\(SubjectToken.encode(channel.name))"
    }

    /// `apus.live.<namespace>.<name>`: where JetStream republishes what it stored of the channel.
    public func live(_ channel: ChannelName) -> String {
        "\(prefix).live.\(channel.namespace).\(SubjectToken.encode(channel.name))"
    }

    public func allChannels(in namespace: String) -> String { "\(prefix).channel.\(namespace).>" }

    /// Where the gateways mark a day in the history of a namespace's channels. No channel's name reaches it.
    public func historyMark(namespace: String, day: Int64) -> String {
        "\(prefix).channel.\(namespace).$mark.\(day)"
    }

    public var allLive: String { "\(prefix).live.>" }
    public var allChannels: String { "\(prefix).channel.>" }

    /// The channel of an `apus.channel.…` or `apus.live.…` subject; nil for any other.
    public func channel(ofSubject subject: String) -> ChannelName? {
        let parts = subject.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == prefix, parts[1] == "channel" || parts[1] == "live",
            let name = SubjectToken.decode(parts[3])
        else { return nil }
        return try? ChannelName(namespace: String(parts[2]), name: name)
    }

    // MARK: Events, tasks, calls

    /// `apus.event.<type>`; a type may hold dots.
    public func event(_ type: String) -> String { "\(prefix).event.\(SubjectToken.encode(type))" }
    public var allEvents: String { "\(prefix).event.>" }

    /// The type that an `apus.event.<type>` subject names; nil for any other subject. A name that ``event(_:)`` does not
    /// make, from a client that encodes it differently, stands for itself.
    public func eventType(ofSubject subject: String) -> String? {
        let beginning = "\(prefix).event."
        guard subject.hasPrefix(beginning), subject.utf8.count > beginning.utf8.count else { return nil }
        let token = subject.dropFirst(beginning.count)
        return SubjectToken.decode(token) ?? String(token)
    }

    /// `apus.task.<queue>.<task name>`; a queue is one token, a task's name may hold dots.
    public func task(queue: String, name: String) -> String {
        "\(prefix).task.\(queueToken(queue)).\(SubjectToken.encode(name))"
    }
    public func tasks(queue: String) -> String { "\(prefix).task.\(queueToken(queue)).>" }
    public var allTasks: String { "\(prefix).task.>" }

    /// A dot would end the queue's token, so here it is escaped too.
    private func queueToken(_ queue: String) -> String {
        SubjectToken.encode(queue).replacing(".", with: "%2E")
    }

    /// `apus.expiring.<when>.<which>`: workers' notes of when tasks expire that wait in queues.
    public func expiring(_ entry: String) -> String { "\(prefix).expiring.\(entry)" }

    /// `apus.rpc.<method>`; a method has dots: `notifications.list`.
    public func rpc(_ method: String) -> String { "\(prefix).rpc.\(SubjectToken.encode(method))" }

    /// What the gateway asks a service about a channel of a namespace.
    public enum Hook: String, Sendable, CaseIterable {
        case subscribe
        case publish
        /// Not a question: a subscription that the hook admitted has ended.
        case leave
    }

    public func hook(_ hook: Hook, namespace: String) -> String { "\(prefix).hook.\(namespace).\(hook.rawValue)" }

    /// Gateway to gateway.
    public func control(_ what: String) -> String { "\(prefix).control.\(what)" }
    public var allControl: String { "\(prefix).control.>" }

    /// What kind of message a dead letter was.
    public enum DeadLetterKind: String, Sendable, CaseIterable {
        case task
        case event
        case row
    }

    /// `apus.dead.<kind>.<name>`: where a message goes that could not be handled.
    public func dead(_ kind: DeadLetterKind, name: String) -> String {
        "\(prefix).dead.\(kind.rawValue).\(SubjectToken.encode(name))"
    }
    public var allDead: String { "\(prefix).dead.>" }

    // MARK: Streams and buckets

    private var upperPrefix: String { prefix.uppercased().replacing("-", with: "_") }

    public var eventsStream: String { "\(upperPrefix)_EVENTS" }
    public var tasksStream: String { "\(upperPrefix)_TASKS" }
    public var expiringStream: String { "\(upperPrefix)_EXPIRING" }
    public var deadStream: String { "\(upperPrefix)_DEAD" }
    /// The stream that keeps the history of a namespace's channels.
    public func historyStream(namespace: String) -> String {
        "\(upperPrefix)_CHANNEL_\(namespace.uppercased().replacing("-", with: "__"))"
    }
    /// A key-value bucket of this deployment.
    public func bucket(_ name: String) -> String { "\(upperPrefix)_\(name.uppercased())" }
}
