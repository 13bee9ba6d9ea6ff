internal import EventBus
internal import Events
internal import NotifierCore

/// Reads business events as they come, and gives each the identity by which it is told once.
struct EventReader: Sendable {
    let subjects: Subjects

    /// - Throws: an error whose text is for the sender and the operator, and quotes nothing of the payload.
    func read(_ delivery: Delivery) throws(IncomingEventError) -> ReceivedEvent {
        let message = delivery.message
        guard let type = subjects.eventType(ofSubject: message.subject) else {
            throw IncomingEventError("the subject names no event's type")
        }
        let incoming = try IncomingEvent(headers: message.headers, payload: message.payload, subjectType: type)
        let order = EventOrder(storedAt: delivery.storedAt, sequence: delivery.sequence)
        return ReceivedEvent(event: incoming.event, identity: identity(of: incoming, type, order), order: order)
    }

    private func identity(of incoming: IncomingEvent, _ type: String, _ order: EventOrder) -> String {
        if let cloudEvent = incoming.cloudEvent {
            StableID.derive("cloudevent", cloudEvent.source, cloudEvent.id)
        } else if let messageID = incoming.id, !messageID.isEmpty {
            StableID.derive("message", type, messageID)
        } else {
            // Sequences begin anew with a new stream, so they do not name an event alone.
            StableID.derive("stored", String(order.storedAt.nanoseconds), String(order.sequence))
        }
    }
}
