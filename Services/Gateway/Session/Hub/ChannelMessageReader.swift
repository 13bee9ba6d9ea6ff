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
                publisher: publisher),
            storedAt: storedAt, excludedClient: message.headers[HeaderName.exclude])
    }

    private static func info(_ headers: BusHeaders) -> JSONValue? {
        headers[ChannelHeader.info].flatMap { try? JSONValue(parsing: $0) }
    }
}

/// Headers between gateways, besides those that everybody may set.
enum ChannelHeader {
    /// What a publishing client's token says about its user, as JSON in ASCII.
    static let info = "Apus-Info"
}
