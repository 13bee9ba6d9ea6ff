package import GatewayWire
internal import Identity
internal import Logging

/// Identifies a connection within its shard.
package struct ConnectionID: Sendable, Hashable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}

/// One client's connection: what it is (the session), what it speaks (the codec) and where its bytes go.
///
/// Belongs to its shard and never leaves its executor. There are very many of them: what only some have, or only for a
/// while, is in ``extras``.
package final class Connection {
    // What every message needs comes first, so that it lies together.
    let transport: any Transport
    /// What few connections have; nil while there is nothing.
    @exclusivity(unchecked) private(set) var extras: ConnectionExtras?
    package let protocolID: WireProtocolID
    var isClosed = false
    /// Whether something was written that waits for the end of the turn.
    var isDirty = false
    /// Whether anything came from the client since the last ping.
    var isHeard = true
    /// Whether the user registry counts it, as its session's user.
    var isCounted = false
    package let id: ConnectionID
    var session: Session
    var codec: any WireProtocol
    var subscriptions = ChannelTable<Subscription>()
    /// When the client last sent anything but a pong, or left its last channel.
    var lastCommandAt: Moment
    var deadlines: ConnectionDeadlines

    /// Whether others see it: a poll comes and goes, and is nobody's presence.
    var isPresent: Bool { protocolID != .longPolling }

    init(
        id: ConnectionID, protocolID: WireProtocolID, codec: any WireProtocol, session: Session,
        transport: any Transport, deadlines: ConnectionDeadlines, now: Moment
    ) {
        self.id = id
        self.protocolID = protocolID
        self.codec = codec
        self.session = session
        self.transport = transport
        self.deadlines = deadlines
        lastCommandAt = now
    }

    /// The user whose messages and connections are counted; nil until it is known, and for who is nobody in particular.
    var countedUser: String? { isCounted ? session.identity.user : nil }

    // MARK: What few have

    /// Where it stands in a trace, as its handshake or its connect said.
    var trace: TraceContext? { extras?.trace }

    /// How much more than the bound may wait for the client: the size of an answer that was larger than it, until the client
    /// has taken that. Closing it before would have it ask for the same again.
    var allowance: Int { extras?.allowance ?? 0 }

    /// Changes what few connections have; what is nothing after that is given back.
    func change<Value>(_ body: (ConnectionExtras) -> Value) -> Value {
        let extras = self.extras ?? ConnectionExtras()
        let value = body(extras)
        self.extras = extras.isEmpty ? nil : extras
        return value
    }
}

extension Connection {
    /// What log lines about it carry.
    var logMetadata: Logger.Metadata {
        [
            "connection.client": "\(session.client)", "connection.user": "\(session.identity.user ?? "")",
            "connection.protocol": "\(protocolID.rawValue)",
        ]
    }
}
