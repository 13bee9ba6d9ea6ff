internal import EventBus
internal import Events
internal import GatewayWire
internal import JSON

/// Turns a message of the bus into what clients get.
enum ChannelMessageReader {
    /// - Returns: nil if the payload is not one JSON text, or says that it is a CloudEvent and is none with such data.
    static func message(
        _ message: BusMessage, sequence: UInt64?, storedAt: Timestamp, generation: UInt32
    ) -> ChannelMessage? {
        // A CloudEvent's type is no name for clients: that is the header's to give.
        guard let payload = message.data.flatMap(JSONText.singleLine) else { return nil }
        guard !message.headers.isEmpty else {
            return ChannelMessage(
                publication: Publication(payload: payload, offset: sequence), storedAt: storedAt,
                generation: generation)
        }
        let publisher = message.headers[HeaderName.client].map {
            ClientInfo(client: $0, user: message.headers[HeaderName.user] ?? "", info: info(message.headers))
        }
        return ChannelMessage(
            publication: Publication(
                payload: payload, event: message.headers[HeaderName.event] ?? "message", offset: sequence,
                publisher: publisher, tags: tags(message.headers)),
            storedAt: storedAt, generation: generation,
            excludedClient: message.headers[HeaderName.exclude].flatMap { RandomID($0) })
    }

    /// What a message carries of what should have come before it, see ``HeaderName/overtaken``; nothing if that cannot be read
    /// or is more than a few messages.
    static func overtaken(by message: BusMessage, storedAt: Timestamp, generation: UInt32) -> [ChannelMessage] {
        guard let text = message.headers[HeaderName.overtaken],
            let earlier = (try? JSONValue(parsing: text))?.arrayValue, earlier.count <= maximumOvertaken
        else { return [] }
        let latest = (try? JSONValue(parsing: message.payload))?.objectValue
        var bytes = 0
        var messages: [ChannelMessage] = []
        for value in earlier {
            let whole = value.objectValue.flatMap { latest?.merging($0) }.map { JSONValue.object($0) } ?? value
            var single = message
            single.payload = whole.serialized()
            single.headers["Content-Type"] = nil
            bytes += single.payload.count
            guard bytes <= maximumOvertakenBytes else { return [] }
            if let read = self.message(single, sequence: nil, storedAt: storedAt, generation: generation) {
                messages.append(read)
            }
        }
        return messages
    }

    /// One message must not become any number of them, nor of bytes.
    private static let maximumOvertaken = 100
    private static let maximumOvertakenBytes = 1024 * 1024

    /// Up to which sequence a channel's history was removed, if the message says so: see ``ChannelHeader/removed``.
    static func historyRemoval(_ message: BusMessage) -> UInt64? {
        message.headers[ChannelHeader.removed].flatMap { UInt64($0) }
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
    /// On a message that no client gets: the channel's history up to this sequence was removed. It stays
    /// in the stream in place of what was removed, so that who had not seen all of it is told.
    static let removed = "Apus-History-Removed"
}
