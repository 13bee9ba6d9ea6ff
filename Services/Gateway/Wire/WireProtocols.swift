/// The table of protocols: one line each.
extension WireProtocolID {
    /// Encodes a message once for all subscribers of this protocol that call the channel `label`.
    package func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        switch self {
        case .centrifugeJSON: CentrifugeJSON.encodeBroadcast(publication, label: label)
        case .plainWebSocket: PlainWebSocket.encodeBroadcast(publication, label: label)
        case .serverSentEvents: ServerSentEvents.encodeBroadcast(publication, label: label)
        case .longPolling: LongPolling.encodeBroadcast(publication, label: label)
        case .phoenix: Phoenix<PhoenixArrays>.encodeBroadcast(publication, label: label)
        case .phoenixObjects: Phoenix<PhoenixObjects>.encodeBroadcast(publication, label: label)
        }
    }

    /// Whether its clients take messages of channels that they never asked for, once they were told of them.
    package var knowsServerSubscriptions: Bool { self == .centrifugeJSON }

    /// Encodes changes of presence once for all subscribers of this protocol that call the channel `label`; nil when it
    /// has no words for them.
    package func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]? {
        switch self {
        case .centrifugeJSON: CentrifugeJSON.encodePresence(changes, label: label)
        case .plainWebSocket: PlainWebSocket.encodePresence(changes, label: label)
        case .serverSentEvents: ServerSentEvents.encodePresence(changes, label: label)
        case .longPolling: LongPolling.encodePresence(changes, label: label)
        case .phoenix: Phoenix<PhoenixArrays>.encodePresence(changes, label: label)
        case .phoenixObjects: Phoenix<PhoenixObjects>.encodePresence(changes, label: label)
        }
    }

    /// The close code of the protocol's own for a reason of ours.
    package func closeCode(_ disconnect: Disconnect) -> Disconnect {
        switch self {
        case .centrifugeJSON: CentrifugeJSON.closeCode(disconnect)
        case .plainWebSocket: PlainWebSocket.closeCode(disconnect)
        case .serverSentEvents: ServerSentEvents.closeCode(disconnect)
        case .longPolling: LongPolling.closeCode(disconnect)
        case .phoenix: Phoenix<PhoenixArrays>.closeCode(disconnect)
        case .phoenixObjects: Phoenix<PhoenixObjects>.closeCode(disconnect)
        }
    }
}
