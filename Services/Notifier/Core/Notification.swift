package import Events
package import JSON

/// What people are told: the notification's own parts, and the event's fields beside them.
package struct Notification: Sendable, Equatable {
    /// Which incident an alert's notification belongs to, and what became of it.
    package struct Alert: Sendable, Equatable {
        package enum State: String, Sendable {
            case firing
            case resolved
        }

        package var state: State
        package var incident: String

        package init(state: State, incident: String) {
            self.state = state
            self.incident = incident
        }
    }

    package let id: String
    package let type: String
    /// Nil where the message says it all.
    package let title: String?
    package let message: String
    package let alert: Alert?
    /// To the millisecond.
    package let createdAt: Timestamp
    /// The event's fields, without those whose names the notification uses itself.
    package private(set) var fields: JSONObject

    /// The largest notification, in bytes of JSON: two hundred of them make an inbox that fits into one message.
    package static let maximumBytes = 16 * 1024

    /// Names that a notification uses itself; an event's fields of the same names are left out.
    package static let reservedNames: Set<String> = [
        "type", "id", "state", "title", "message", "incident", "read", "created_at", "unread_count", "inbox_revision",
    ]

    package init(
        id: String, type: String, title: String?, message: String, alert: Alert? = nil, createdAt: Timestamp,
        fields: JSONObject
    ) {
        self.id = id
        self.type = type
        self.title = title
        self.message = message
        self.alert = alert
        self.createdAt = createdAt.truncatedToMilliseconds
        self.fields = Notification.withoutReservedNames(fields)
    }

    /// Replaces the event's fields by those of a later event.
    package mutating func update(fields: JSONObject) { self.fields = Notification.withoutReservedNames(fields) }

    private static func withoutReservedNames(_ fields: JSONObject) -> JSONObject {
        JSONObject(fields.lazy.filter { !reservedNames.contains($0.key) }.map { ($0.key, $0.value) })
    }
}

// MARK: - JSON

extension Notification {
    /// As clients get it, without `read` and the counts, which only an inbox knows.
    package var json: JSONObject {
        var object: JSONObject = ["type": .string(type), "id": .string(id)]
        if let alert {
            object["state"] = .string(alert.state.rawValue)
            object["incident"] = .string(alert.incident)
        }
        object["title"] = title.map { .string($0) }
        object["message"] = .string(message)
        for (key, value) in fields { object[key] = value }
        object["created_at"] = .string(createdAt.description)
        return object
    }

    /// Reads what ``json`` wrote; nil for anything else.
    package init?(json object: JSONObject) {
        guard let id = object["id"]?.stringValue, let type = object["type"]?.stringValue,
            let message = object["message"]?.stringValue,
            let createdAt = object["created_at"]?.stringValue.flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        var alert: Alert?
        if let state = object["state"]?.stringValue.flatMap(Alert.State.init(rawValue:)),
            let incident = object["incident"]?.stringValue
        {
            alert = Alert(state: state, incident: incident)
        }
        self.init(
            id: id, type: type, title: object["title"]?.stringValue, message: message, alert: alert,
            createdAt: createdAt, fields: object)
    }
}

extension Timestamp {
    package var truncatedToMilliseconds: Timestamp {
        let remainder = nanoseconds % 1_000_000
        let down = remainder < 0 ? remainder + 1_000_000 : remainder
        let (truncated, overflow) = nanoseconds.subtractingReportingOverflow(down)
        return overflow ? self : Timestamp(nanoseconds: truncated)
    }
}
