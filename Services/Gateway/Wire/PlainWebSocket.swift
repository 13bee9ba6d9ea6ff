internal import JSON

/// A plain WebSocket on one channel, as written against Django Channels or FastAPI: each text frame is one JSON payload.
///
/// ```
/// → {"text":"hi"}              publishes on the channel of the address
/// ← {"text":"hi"}              a message of that channel
/// ← {"error":"Invalid JSON format"}
/// ```
/// The channel stands in the address, the token in it or in the `Authorization` header, so that there are no commands.
package struct PlainWebSocket: WireProtocol {
    private let channel: String

    package init(channel: String) { self.channel = channel }

    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] {
        guard let payload = JSONText.singleLine(frame) else {
            return [.malformed(reason: PlainWebSocket.invalidJSON, 1)]
        }
        return [.publish(PublishCommand(channel: channel, payload: payload), 1)]
    }

    private static let invalidJSON = "Invalid JSON format"

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? {
        switch message {
        case .failure(let failure, _): return PlainWebSocket.error(failure)
        case .dropped(let channel, let count):
            var writer = JSONWriter(reserving: 128)
            writer.writeDropped(channel: channel, count: count)
            return writer.finish()
        default: return nil
        }
    }

    private static func error(_ failure: ClientFailure) -> [UInt8] {
        var writer = JSONWriter(reserving: 128)
        writer.beginObject()
        if let seconds = failure.retryAfterSeconds {
            writer.member("error", "Rate limit exceeded")
            writer.member("retry_after", seconds)
        } else {
            writer.member("error", failure == .badRequest(invalidJSON) ? invalidJSON : failure.message)
        }
        writer.endObject()
        return writer.finish()
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] { publication.payload }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect {
        switch disconnect {
        case .invalidToken, .authenticationRequired, .expired:
            Disconnect(code: 4001, reason: "Authentication required")
        case .permissionDenied: Disconnect(code: 4003, reason: "Permission denied")
        case .slow: Disconnect(code: 4008, reason: "Too slow")
        case .tooManyRequests: Disconnect(code: 4029, reason: "Too many messages")
        case .shutdown: Disconnect(code: 1001, reason: "Server is leaving")
        case .messageTooBig: Disconnect(code: 1009, reason: "Message too big")
        case .protocolError: disconnect
        case .badRequest, .channelLimit: Disconnect(code: 1008, reason: "Bad request")
        // Whatever a backend gives for a reason.
        case _ where disconnect.code == Disconnect.forced.code: Disconnect(code: 4003, reason: disconnect.reason)
        // Messages are lost for good, or the server ended the subscription: only a new connection begins anew. Browsers'
        // libraries take 1012 and 1013 for a reason to come back.
        case .insufficientState: Disconnect(code: 1012, reason: "Messages were lost, connect again")
        case .connectionLimit: Disconnect(code: 1013, reason: "Too many connections")
        case .internalError, .noPong, .stale, .notAvailable: Disconnect(code: 1011, reason: disconnect.reason)
        // What a backend said, for clients that know it.
        default: disconnect
        }
    }
}
