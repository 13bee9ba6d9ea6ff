internal import EventBus
internal import Events
internal import GatewayWire
internal import JSON

/// Turns a message of the bus into what clients get.
enum ChannelMessageReader {
    /// - Returns: nil if the payload is not one JSON text.
    static func message(_ message: BusMessage, sequence: UInt64?, storedAt: Timestamp) -> ChannelMessage? {
        guard let payload = JSONText.singleLine(message.payload) else { return nil }
        guard !message.headers.isEmpty else {
            return ChannelMessage(
                publication: Publication(payload: payload, offset: sequence), storedAt: storedAt)
        }
        let publisher = message.headers[HeaderName.client].map {
            ClientInfo(client: $0, user: message.headers[HeaderName.user] ?? "", info: info(message.headers))
        }
        return ChannelMessage(
            publication: Publication(
                payload: payload, event: message.headers[HeaderName.event] ?? "message", offset: sequence,
                publisher: publisher, tags: tags(message.headers)),
            storedAt: storedAt, excludedClient: message.headers[HeaderName.exclude])
    }

    /// For a message that says that the channel's history was removed: after which sequence it begins anew. It is no
    /// message for clients.
    static func beginning(_ message: BusMessage) -> UInt64? {
        message.headers[ChannelHeader.cleared].flatMap { UInt64($0) }
    }

    private static func tags(_ headers: BusHeaders) -> [String: String] {
        guard let text = headers[ChannelHeader.tags], let object = try? JSONValue(parsing: text) else { return [:] }
        let members = (object.objectValue ?? [:]).compactMap { member in
            member.value.stringValue.map { (member.key, $0) }
        }
        return Dictionary(members, uniquingKeysWith: { first, _ in first })
    }

    private static func info(_ headers: BusHeaders) -> JSONValue? {
        headers[ChannelHeader.info].flatMap { try? JSONValue(parsing: $0) }
    }
}

/// Headers between gateways, besides those that everybody may set.
enum ChannelHeader {
    /// What a publishing client's token says about its user, as JSON in ASCII.
    static let info = "Apus-Info"
    /// What a backend attached to a message: a JSON object of strings.
    static let tags = "Apus-Tags"
    /// Stands on a message in place of a history that was removed: the sequence of its last message.
    static let cleared = "Apus-Cleared"
}
