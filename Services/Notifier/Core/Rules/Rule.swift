internal import Events
internal import JSON

/// What to tell whom when an event comes.
package struct Rule: Sendable, Equatable {
    /// Names the rule in logs, metrics and ids: letters, digits, `_` and `-`.
    package let name: String
    package let event: EventPattern
    /// The channel's name. A channel `user:<id>` also is that user's inbox.
    package let to: TextTemplate
    /// The notifications' type, which a user may mute.
    package let type: String
    package let title: TextTemplate?
    package let message: TextTemplate
    /// Events for which it does not hold are none of the rule's business.
    package let when: Expression?
    /// Which of the event's fields the notification carries; nil is all.
    package let fields: [FieldPath]?
    /// With it, events change the state of an alert, and only its changes are told.
    package let alert: AlertRule?
}

/// When an alert begins and ends. One alert of its own for each value of the key.
package struct AlertRule: Sendable, Equatable {
    /// The fields that together say which alert an event is about.
    package let key: [FieldPath]
    package let fire: Expression
    /// Without it, the alert ends when `fire` no longer holds.
    package let clear: Expression?
    /// The field that orders events of the same key; without it they count in the order of the stream.
    package let version: FieldPath?
    /// The message when the alert ends; without it, `Resolved: ` and the rule's message.
    package let resolvedMessage: TextTemplate?
}

/// Why a rule cannot handle an event. Names the rule, its part and fields of the event, never their values.
package struct RuleFailure: Error, Equatable, CustomStringConvertible {
    package let rule: String
    /// Which part of the rule: `to`, `alert.fire`, ….
    package let part: String
    package let message: String

    package var description: String { "rule \(rule), \(part): \(message)" }
}

extension Rule {
    func failure(_ part: String, _ error: some CustomStringConvertible) -> RuleFailure {
        RuleFailure(rule: name, part: part, message: error.description)
    }

    func holds(_ condition: Expression, _ part: String, _ fields: JSONObject) throws(RuleFailure) -> Bool {
        do { return try condition.holds(for: fields) } catch { throw failure(part, error) }
    }

    func render(_ template: TextTemplate, _ part: String, _ fields: JSONObject) throws(RuleFailure) -> String {
        do { return try template.render(fields) } catch { throw failure(part, error) }
    }

    /// The channel that an event's notification goes to.
    func channel(_ fields: JSONObject) throws(RuleFailure) -> ChannelName {
        let name = try render(to, "to", fields)
        do { return try ChannelName(name) } catch { throw failure("to", error) }
    }

    /// The fields that a notification about the event carries.
    func carriedFields(_ event: ReceivedEvent) -> JSONObject {
        guard let fields else { return event.event.fields }
        return JSONObject(
            fields.compactMap { path in path.value(in: event.event.fields).map { (path.description, $0) } })
    }

    /// - Throws: ``RuleFailure`` if a template has no text for the event or the notification is too large.
    func notification(
        about event: ReceivedEvent, id: String, alert: Notification.Alert? = nil
    ) throws(RuleFailure) -> Notification {
        var visible = event.visibleFields
        if let alert {
            visible["state"] = .string(alert.state.rawValue)
            visible["incident"] = .string(alert.incident)
        }
        let notification = Notification(
            id: id, type: type,
            title: try title.map { title throws(RuleFailure) in try render(title, "title", visible) },
            message: try message(visible, isResolved: alert?.state == .resolved), alert: alert,
            createdAt: event.order.storedAt, fields: carriedFields(event))
        guard JSONValue.object(notification.json).serialized().count <= Notification.maximumBytes else {
            throw failure(
                "fields", "the notification is larger than \(Notification.maximumBytes) bytes; name the fields it needs"
            )
        }
        return notification
    }

    private func message(_ visible: JSONObject, isResolved: Bool) throws(RuleFailure) -> String {
        guard isResolved else { return try render(message, "message", visible) }
        if let template = alert?.resolvedMessage { return try render(template, "alert.resolved_message", visible) }
        return "Resolved: \(try render(message, "message", visible))"
    }
}
