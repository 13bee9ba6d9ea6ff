internal import JSON

/// A business event as it came in a message, whichever of the three forms it had: plain JSON, or a CloudEvent in binary
/// or structured mode.
public struct IncomingEvent: Sendable, Equatable {
    /// The event: its type is the subject's, since that is where its sender put it; its fields are the data's.
    public var event: BusinessEvent
    /// The CloudEvent's id, or else the message's `Nats-Msg-Id`.
    public var id: String?
    /// When it happened, if the sender said so.
    public var time: Timestamp?
    /// All that a CloudEvent says besides; nil for plain JSON.
    public var cloudEvent: CloudEvent?

    /// - Parameters:
    ///   - subjectType: the type that the message's subject names: see ``Subjects/eventType(ofSubject:)``.
    /// - Throws: ``IncomingEventError``, whose text is for the sender and the operator and holds nothing of the payload.
    public init(
        headers: some Sequence<(name: String, value: String)>, payload: [UInt8], subjectType: String
    ) throws(IncomingEventError) {
        let cloudEvent: CloudEvent?
        do throws(CloudEventError) {
            cloudEvent = try CloudEvent(headers: headers, payload: payload)
        } catch {
            throw IncomingEventError(error.description)
        }
        if let cloudEvent, !cloudEvent.hasJSONData {
            throw IncomingEventError("the event's data must be JSON, but its datacontenttype says otherwise")
        }
        let data: JSONValue
        do throws(JSONError) {
            // A CloudEvent may come without data: what happened is all there is to say.
            let isBare = cloudEvent?.data.isEmpty == true
            data = isBare ? [:] : try JSONValue(parsing: cloudEvent?.data ?? payload)
        } catch {
            throw IncomingEventError(payload.isEmpty ? "the event is empty" : "the event's data must be JSON: \(error)")
        }
        guard case .object(let fields) = data else {
            throw IncomingEventError("the event's data must be an object, not \(data.kindDescription)")
        }
        event = BusinessEvent(type: subjectType, fields: fields)
        let messageID = headers.first { $0.name.lowercased() == "nats-msg-id" }?.value
        id = cloudEvent?.id ?? messageID
        time = cloudEvent?.time
        self.cloudEvent = cloudEvent
    }
}

/// Why a message is no business event.
public struct IncomingEventError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
