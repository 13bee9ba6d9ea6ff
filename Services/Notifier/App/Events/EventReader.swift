internal import EventBus
internal import Events
internal import JSON
internal import NotifierCore

/// Reads business events as they come: plain JSON, or CloudEvents 1.0 in binary or structured mode.
struct EventReader: Sendable {
    let subjects: Subjects

    /// Why a message is no event. Never quotes the payload.
    struct Malformed: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    func read(_ delivery: Delivery) throws(Malformed) -> ReceivedEvent {
        let message = delivery.message
        guard let type = subjects.eventType(ofSubject: message.subject) else {
            throw Malformed(description: "the subject names no event's type")
        }
        let payload: JSONValue
        do throws(JSONError) {
            payload = try JSONValue(parsing: message.payload)
        } catch {
            throw Malformed(description: message.payload.isEmpty ? "the event is empty" : "not JSON: \(error)")
        }
        let envelope = try CloudEventEnvelope(headers: message.headers, payload: payload)
        let data = envelope?.data ?? payload
        guard let fields = data.objectValue else {
            throw Malformed(
                description: "the event\(envelope == nil ? "" : "'s data") is \(data.kindDescription), not an object")
        }
        let order = EventOrder(storedAt: delivery.storedAt, sequence: delivery.sequence)
        let identity =
            if let envelope {
                StableID.derive("cloudevent", envelope.source, envelope.id)
            } else if let messageID = message.headers[HeaderName.messageID], !messageID.isEmpty {
                StableID.derive("message", type, messageID)
            } else {
                // Sequences begin anew with a new stream, so they do not name an event alone.
                StableID.derive("stored", String(order.storedAt.nanoseconds), String(order.sequence))
            }
        return ReceivedEvent(event: BusinessEvent(type: type, fields: fields), identity: identity, order: order)
    }
}

/// What the notifier needs of a CloudEvent: what names it, and its data.
private struct CloudEventEnvelope {
    let id: String
    let source: String
    let data: JSONValue

    /// Nil if the message is none.
    init?(headers: BusHeaders, payload: JSONValue) throws(EventReader.Malformed) {
        let contentType = headers["Content-Type"]?.lowercased() ?? ""
        if contentType.hasPrefix("application/cloudevents+json") {
            guard let id = payload["id"]?.stringValue, let source = payload["source"]?.stringValue else {
                throw EventReader.Malformed(description: "a CloudEvent has the strings id and source")
            }
            guard let data = payload["data"] else {
                throw EventReader.Malformed(description: "the CloudEvent has no data as JSON")
            }
            (self.id, self.source, self.data) = (id, source, data)
        } else if let id = headers["ce-id"] {
            (self.id, source, data) = (id, headers["ce-source"] ?? "", payload)
        } else {
            return nil
        }
    }
}
