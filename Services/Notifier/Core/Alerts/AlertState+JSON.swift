internal import Events
package import JSON

/// How an alert's state is kept in its key-value document.
extension AlertState {
    package var json: JSONValue {
        var object: JSONObject = [:]
        switch phase {
        case .inactive: object["phase"] = "inactive"
        case .firing(let incident):
            object["phase"] = "firing"
            object["incident"] = .string(incident.id)
            object["since"] = .string(incident.since.description)
            object["channel"] = .string(incident.channel.description)
            object["notification"] = .object(incident.notification.json)
        case .resolved(let incident, let time):
            object["phase"] = "resolved"
            object["incident"] = .string(incident)
            object["resolved_at"] = .string(time.description)
        }
        if let applied {
            object["stored_at"] = .string(applied.order.storedAt.description)
            object["sequence"] = .string(String(applied.order.sequence))
            object["version"] = applied.version?.json
        }
        if !outbox.isEmpty { object["outbox"] = .array(outbox.map(\.json)) }
        return .object(object)
    }

    /// Reads what ``json`` wrote; nil for anything else.
    package init?(json: JSONValue) {
        guard let object = json.objectValue, let phase = Phase(object) else { return nil }
        var applied: Applied?
        if let storedAt = object.time("stored_at"),
            let sequence = object["sequence"]?.stringValue.flatMap({ UInt64($0) })
        {
            applied = Applied(
                order: EventOrder(storedAt: storedAt, sequence: sequence),
                version: object["version"].flatMap { AlertVersion($0) })
        }
        var outbox: [AddressedNotification] = []
        for element in object["outbox"]?.arrayValue ?? [] {
            guard let notice = AddressedNotification(json: element) else { return nil }
            outbox.append(notice)
        }
        self.init(phase: phase, applied: applied, outbox: outbox)
    }
}

extension AlertState.Phase {
    fileprivate init?(_ object: JSONObject) {
        switch object["phase"]?.stringValue {
        case "inactive": self = .inactive
        case "firing":
            guard let id = object["incident"]?.stringValue, let since = object.time("since"),
                let channel = object["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
                let notification = object["notification"]?.objectValue.flatMap({ Notification(json: $0) })
            else { return nil }
            self = .firing(
                AlertState.Incident(id: id, since: since, channel: channel, notification: notification))
        case "resolved":
            guard let id = object["incident"]?.stringValue, let time = object.time("resolved_at") else { return nil }
            self = .resolved(incident: id, at: time)
        default: return nil
        }
    }
}

extension AddressedNotification {
    fileprivate var json: JSONValue {
        ["channel": .string(channel.description), "notification": .object(notification.json)]
    }

    fileprivate init?(json: JSONValue) {
        guard let channel = json["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
            let notification = json["notification"]?.objectValue.flatMap({ Notification(json: $0) })
        else { return nil }
        self.init(channel: channel, notification: notification)
    }
}

extension JSONObject {
    fileprivate func time(_ key: String) -> Timestamp? {
        self[key]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
    }
}
