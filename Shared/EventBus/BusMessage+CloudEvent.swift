public import Events

extension BusHeaders {
    /// Says what the message is: the attributes of `event` in CloudEvents' binary mode, so that the payload is its data
    /// and nothing but the data.
    ///
    /// Whoever emits an event gives it an id that stays when the same event is sent again: `source` and `id` together
    /// are how receivers know it.
    public mutating func describe(_ event: CloudEvent) {
        guard !isEmpty else {
            self = BusHeaders(fields: event.binaryHeaders)
            return
        }
        for (name, value) in event.binaryHeaders { self[name] = value }
    }
}

extension BusMessage {
    /// What a channel message is about, as JSON text: the payload, or what is in it when it is a CloudEvent in structured
    /// mode, `null` if that has no data.
    ///
    /// Nil if it says that it is a CloudEvent and is none with JSON. A payload of another kind is not looked at.
    public var data: [UInt8]? {
        guard CloudEvent.isStructured(contentType: headers["Content-Type"]) else { return payload }
        guard let event = try? CloudEvent(structured: payload), event.hasJSONData else { return nil }
        return event.data.isEmpty ? Array("null".utf8) : event.data
    }
}
