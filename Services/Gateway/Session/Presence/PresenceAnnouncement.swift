package import Events
package import GatewayWire

/// What became of a client's place on a channel, as the gateway that holds its connection knows it.
package struct MembershipChange: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case joined
        /// It went for good: it unsubscribed, or was made to.
        case left
        /// Its connection ended; it may come back in a moment.
        case dropped
    }

    package var kind: Kind
    package var channel: ChannelName
    /// In an announcement of a departure only its client matters: the others know the rest.
    package var info: ClientInfo

    package init(_ kind: Kind, _ channel: ChannelName, _ info: ClientInfo) {
        self.kind = kind
        self.channel = channel
        self.info = info
    }
}

/// What one gateway tells the others about who is connected to it.
package enum PresenceAnnouncement: Sendable, Equatable {
    /// Changes, numbered per gateway without gaps; the first of these has the number `first`.
    case changes(node: String, first: UInt64, [MembershipChange])
    /// The gateway lives, has announced so many changes, and has members of this digest.
    case heartbeat(node: String, number: UInt64, digest: UInt64)
    /// All that are connected to it, after so many changes; in several parts when there are many.
    case state(node: String, number: UInt64, part: Int, of: Int, [PresenceMember])
    /// `node` asks the gateway `of`, or everybody, to announce its state: it has started, or has missed something.
    case request(node: String, of: String?)
    /// The gateway stops; its clients were told to come back to another one.
    case goodbye(node: String)

    var isHeartbeat: Bool {
        if case .heartbeat = self { true } else { false }
    }
}

/// A client on a channel.
package struct PresenceMember: Sendable, Equatable {
    package var channel: ChannelName
    package var info: ClientInfo

    package init(_ channel: ChannelName, _ info: ClientInfo) {
        self.channel = channel
        self.info = info
    }
}
