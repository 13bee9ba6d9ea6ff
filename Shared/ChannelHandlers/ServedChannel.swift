public import EventBus
public import Events
public import JSON

/// A channel as its handler sees it: what it is called, and the way to everybody on it.
public struct ServedChannel: Sendable {
    public let name: ChannelName
    private let publisher: ChannelPublisher

    public init(name: ChannelName, publisher: ChannelPublisher) {
        self.name = name
        self.publisher = publisher
    }

    /// Sends `data` to everybody on the channel, at any time: from a question in hand or from elsewhere.
    ///
    /// - Parameters:
    ///   - client: a connection that does not get it.
    ///   - messageID: makes it safe to try again, on channels with history.
    ///   - storing: false sends it to whoever listens now only, also on channels with history.
    ///   - headers: passed on; `traceparent` of the question that this follows from.
    /// - Throws: ``BusError``; see ``ChannelPublisher/publish(_:on:event:messageID:storing:headers:)``.
    public func broadcast(
        _ data: JSONValue, event: String = "message", except client: String? = nil, messageID: String? = nil,
        storing: Bool = true, headers: BusHeaders = [:]
    ) async throws(BusError) {
        var headers = headers
        headers[HeaderName.exclude] = client
        try await publisher.publish(
            data.serialized(), on: name, event: event, messageID: messageID, storing: storing, headers: headers)
    }

    /// Sends what a client sent to everybody, or everybody else, with its sender's name on it.
    func broadcast(_ event: ChannelEvent, as answer: EventAnswer) async throws(BusError) {
        var headers: BusHeaders = [:]
        event.caller.write(to: &headers)
        for name in [HeaderName.traceParent, HeaderName.traceState] { headers[name] = event.headers[name] }
        try await broadcast(
            answer.data ?? event.data, event: answer.event ?? event.name,
            except: answer.audience == .others ? event.caller.client : nil, storing: answer.isStored, headers: headers)
    }
}
