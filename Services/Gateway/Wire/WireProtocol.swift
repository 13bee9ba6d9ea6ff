/// Which of the gateway's protocols a connection speaks.
package enum WireProtocolID: String, Sendable, CaseIterable {
    case centrifugeJSON = "centrifuge"
    case plainWebSocket = "websocket"
    case serverSentEvents = "sse"
    case longPolling = "poll"
    case phoenix
    case phoenixObjects = "phoenix_v1"
}

/// Bytes that no valid client of the protocol can send; the connection is closed.
package struct WireError: Error, Sendable, Equatable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// One client dialect: bytes on one side, the gateway's vocabulary on the other, and nothing else.
///
/// A value per connection. Pure: no sockets, no clock, no log. Adding a protocol is one such file, one case in
/// ``WireProtocolID`` and one route.
package protocol WireProtocol: Sendable {
    /// Translates one frame.
    /// - Throws: ``WireError`` only for what no valid client can send.
    mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand]

    /// Encodes what concerns this connection alone; nil when the protocol has no words for it.
    mutating func encode(_ message: ServerMessage) -> [UInt8]?

    /// The same for protocols that say some things in more than one frame; by default ``encode(_:)``'s one.
    mutating func encodeFrames(_ message: ServerMessage) -> [[UInt8]]

    /// Encodes a message for every subscriber of a channel. It cannot depend on the connection, so that it is done once
    /// for all connections that speak the protocol and call the channel `label`.
    static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8]

    /// Encodes who came to a channel and who left it, in order, in one frame for every subscriber that asked to be told;
    /// nil when the protocol has no words for it. As with ``encodeBroadcast(_:label:)`` it cannot depend on the connection.
    static func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]?

    /// The close code and reason of the protocol's own for a reason of ours.
    static func closeCode(_ disconnect: Disconnect) -> Disconnect
}

extension WireProtocol {
    package mutating func encodeFrames(_ message: ServerMessage) -> [[UInt8]] { encode(message).map { [$0] } ?? [] }

    package static func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]? { nil }
}
