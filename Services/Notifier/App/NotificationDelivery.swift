package import EventBus
package import Events
internal import JSON
package import NotifierCore

/// Brings a notification to its channel, and where that is a user's into the inbox first.
///
/// Each step can be done again: the inbox knows what it holds by id, and the channel's history what was published. So a
/// process that dies between any two of them leaves nothing that another, which gets the same event again, could not
/// finish, and nothing is told twice.
package struct NotificationDelivery: Sendable {
    private let inboxes: InboxStore
    private let bus: any EventBus
    private let subjects: Subjects
    private let publisher: ChannelPublisher

    package init(inboxes: InboxStore, bus: any EventBus, subjects: Subjects) {
        self.inboxes = inboxes
        self.bus = bus
        self.subjects = subjects
        publisher = ChannelPublisher(bus: bus, subjects: subjects)
    }

    /// The name of the event on the channels, and the type of the CloudEvent.
    package static let event = "notification"
    /// Where the notifier's events come from, as CloudEvents put it.
    package static let source = "apus/notifier"

    package enum Outcome: Sendable, Equatable {
        case published
        /// It was there before; nothing was published.
        case duplicate
        /// The user does not want it.
        case muted
    }

    /// - Parameter mayBePublished: whether somebody may have come this far with the same notification before, who died
    ///   or got no answer. The channel's history is looked at then: the server forgets a `Nats-Msg-Id` after two minutes,
    ///   and a notifier may be away for longer.
    package func deliver(
        _ notice: AddressedNotification, headers: BusHeaders = [:], mayBePublished: Bool
    ) async throws -> Outcome {
        var json = notice.notification.json
        if let user = notice.user {
            let (insertion, stored) = try await inboxes.insert(notice.notification, for: user)
            switch insertion {
            case .muted: return .muted
            // Another event of the same id; if that one's work was cut short, its own redelivery finishes it.
            case .duplicate where !mayBePublished: return .duplicate
            case .duplicate, .inserted: break
            }
            json["read"] = false
            json = json.merging(stored.summary)
        }
        if mayBePublished, try await isPublished(notice) { return .duplicate }
        var headers = headers
        headers.describe(
            CloudEvent(
                id: notice.notification.id, source: Self.source, type: Self.event, time: notice.notification.createdAt))
        try await publisher.publish(
            JSONValue.object(json).serialized(), on: notice.channel, event: Self.event,
            messageID: notice.notification.id, headers: headers)
        return .published
    }

    private func isPublished(_ notice: AddressedNotification) async throws -> Bool {
        do throws(BusError) {
            let history = try await bus.messages(
                in: subjects.historyStream(namespace: notice.channel.namespace),
                subject: subjects.channel(notice.channel), after: 0, limit: 1000)
            return history.contains { $0.message.headers[HeaderName.messageID] == notice.notification.id }
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }
}
