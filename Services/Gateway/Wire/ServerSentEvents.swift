package import Events
internal import JSON

/// Server-Sent Events: html.spec.whatwg.org, "Server-sent events".
///
/// ```
/// event: connected
/// data: {"client":"…","channels":{"room:lobby":{"recovered":true,"position":{"epoch":"…","offset":7}}}}
///
/// id: room%3Alobby~5f3a~8
/// event: message
/// data: {"text":"hi"}
/// ```
/// The `id` holds the position of every channel of the stream, so that a browser that comes back with `Last-Event-ID`
/// continues all of them. It therefore differs from stream to stream and is not part of a broadcast's shared bytes.
package struct ServerSentEvents: WireProtocol {
    package init() {}

    /// Nothing comes from the client once the stream runs.
    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] { [] }

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? {
        switch message {
        // A comment, without an empty line after it: some clients take that for the end of an event.
        case .ping: return Array(": ping\n".utf8)
        case .dropped(let channel, let count):
            var writer = JSONWriter(reserving: 128)
            writer.writeDropped(channel: channel, count: count)
            return ServerSentEvents.event("dropped", writer.finish())
        case .unsubscribedByServer(let channel, let reason):
            var writer = JSONWriter(reserving: 128)
            writer.beginObject()
            writer.member("channel", channel)
            writer.member("code", reason.code)
            writer.member("reason", reason.reason)
            writer.endObject()
            return ServerSentEvents.event("unsubscribed", writer.finish())
        default: return nil
        }
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        event(publication.event, publication.payload)
    }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect { disconnect }

    /// The first event of a stream.
    package static func connected(client: String, channels: [(label: String, result: SubscribeResult)]) -> [UInt8] {
        let members = channels.map { channel -> (String, JSONValue) in
            var state: JSONObject = ["recovered": .bool(channel.result.recovery == .recovered)]
            if let position = channel.result.position {
                state["position"] = [
                    "epoch": .string(position.epoch), "offset": .integer(Int64(clamping: position.offset)),
                ]
            }
            return (channel.label, .object(state))
        }
        return event(
            "connected",
            JSONValue.object(["client": .string(client), "channels": .object(JSONObject(members))]).serialized())
    }

    /// The line that goes before an event when the stream's positions have changed.
    package static func idLine(_ cursor: ChannelCursor) -> [UInt8] { Array("id: \(cursor.text)\n".utf8) }

    private static func event(_ name: String, _ singleLineJSON: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(singleLineJSON.count + name.utf8.count + 24)
        bytes.append(contentsOf: "event: ".utf8)
        // A line break in a name would begin another field.
        for byte in name.utf8 { bytes.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
        bytes.append(contentsOf: "\ndata: ".utf8)
        bytes.append(contentsOf: singleLineJSON)
        bytes.append(contentsOf: "\n\n".utf8)
        return bytes
    }
}

/// The positions of several channels in one opaque text: `room%3Alobby~<epoch>~<offset>`, joined by commas.
package struct ChannelCursor: Sendable, Equatable {
    /// By the channel's name as the client wrote it, in the order in which they were asked for.
    package private(set) var positions: [(label: String, position: StreamPosition)] = []

    /// How many positions are read: each costs as much as there are before it.
    package static let maximumCount = 1024

    package init() {}

    /// Reads what ``text`` writes; nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count <= 65_536 else { return nil }
        let parts = text.split(separator: ",")
        guard parts.count <= ChannelCursor.maximumCount else { return nil }
        for part in parts {
            let fields = part.split(separator: "~", omittingEmptySubsequences: false)
            guard fields.count == 3, let label = SubjectToken.decode(fields[0]),
                let epoch = SubjectToken.decode(fields[1]), let offset = UInt64(fields[2])
            else { return nil }
            self[label] = StreamPosition(epoch: epoch, offset: offset)
        }
    }

    package subscript(label: String) -> StreamPosition? {
        get { positions.first { $0.label == label }?.position }
        set {
            let index = positions.firstIndex { $0.label == label }
            switch (index, newValue) {
            case (let index?, let position?): positions[index].position = position
            case (let index?, nil): positions.remove(at: index)
            case (nil, let position?): positions.append((label, position))
            case (nil, nil): break
            }
        }
    }

    package var text: String {
        positions.map {
            "\(SubjectToken.encode($0.label))~\(SubjectToken.encode($0.position.epoch))~\($0.position.offset)"
        }
        .joined(separator: ",")
    }

    package static func == (left: ChannelCursor, right: ChannelCursor) -> Bool { left.text == right.text }
}
