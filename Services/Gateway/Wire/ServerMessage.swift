package import Events
package import JSON

/// What the gateway tells one client, whatever protocol it speaks.
package enum ServerMessage: Sendable, Equatable {
    case connected(ConnectResult, CommandReference)
    case subscribed(channel: String, SubscribeResult, CommandReference)
    case unsubscribed(channel: String, CommandReference)
    /// `reply` is what a hook answered to the sender, as JSON text; for protocols that can carry it.
    case published(CommandReference, reply: [UInt8]? = nil)
    case callResult(payload: [UInt8], CommandReference)
    case presence([ClientInfo], CommandReference)
    case presenceStatistics(clients: Int, users: Int, CommandReference)
    case history(publications: [Publication], position: StreamPosition, CommandReference)
    case refreshed(ConnectionExpiry, CommandReference)
    case subscriptionRefreshed(ConnectionExpiry, CommandReference)
    case pong(CommandReference)
    case failure(ClientFailure, CommandReference)

    // What no command asked for.
    case ping
    /// A backend has given the connection another end.
    case refreshedByServer(ConnectionExpiry)
    /// A subscription that the server made for the client.
    case subscribedByServer(channel: String, SubscribeResult)
    case unsubscribedByServer(channel: String, UnsubscribeReason)
    /// Who is on a channel, at the start of a subscription that asked for it.
    case members(channel: String, [ClientInfo])
    /// Messages of a channel were left out since the client reads too slowly.
    case dropped(channel: String, count: Int)
}

/// When a connection's token expires.
package enum ConnectionExpiry: Sendable, Equatable {
    case never
    case after(seconds: Int)
}

package struct ConnectResult: Sendable, Equatable {
    package var client: String
    package var version: String
    package var expiry: ConnectionExpiry
    /// Seconds between the server's pings.
    package var pingInterval: Int
    /// Subscriptions that exist from the start, by the channel's name as the client knows it.
    package var subscriptions: [String: SubscribeResult]
    /// A secret name of the connection, for backends.
    package var session: String
    /// The gateway that the connection is on.
    package var node: String

    package init(
        client: String, version: String, expiry: ConnectionExpiry, pingInterval: Int,
        subscriptions: [String: SubscribeResult] = [:], session: String = "", node: String = ""
    ) {
        self.client = client
        self.version = version
        self.expiry = expiry
        self.pingInterval = pingInterval
        self.subscriptions = subscriptions
        self.session = session
        self.node = node
    }
}

package struct SubscribeResult: Sendable, Equatable {
    /// How the attempt to continue from a client's position went.
    package enum Recovery: Sendable, Equatable {
        case notAsked
        case recovered
        /// Messages that the client has not seen are gone.
        case failed
    }

    /// Where the subscription begins; nil for channels without history.
    package var position: StreamPosition?
    package var recovery: Recovery
    /// What the client missed, oldest first.
    package var publications: [Publication]
    /// What whoever admitted the client has for it, as JSON text.
    package var data: [UInt8]?
    /// In how many seconds the client must have renewed the subscription's token; nil where it need not.
    package var expiresIn: Int?

    package init(
        position: StreamPosition? = nil, recovery: Recovery = .notAsked, publications: [Publication] = [],
        data: [UInt8]? = nil, expiresIn: Int? = nil
    ) {
        self.position = position
        self.recovery = recovery
        self.publications = publications
        self.data = data
        self.expiresIn = expiresIn
    }
}

/// One message of a channel, as clients get it.
package struct Publication: Sendable, Equatable {
    /// JSON text without line breaks.
    package var payload: [UInt8]
    package var event: String
    /// Nil on channels without history.
    package var offset: UInt64?
    /// What few have, so that the others are cheap to pass on.
    private var extras: Extras?

    private final class Extras: Sendable, Equatable {
        let publisher: ClientInfo?
        let tags: [String: String]

        init(_ publisher: ClientInfo?, _ tags: [String: String]) {
            self.publisher = publisher
            self.tags = tags
        }

        static func == (left: Extras, right: Extras) -> Bool {
            left === right || (left.publisher == right.publisher && left.tags == right.tags)
        }
    }

    package init(
        payload: [UInt8], event: String = "message", offset: UInt64? = nil, publisher: ClientInfo? = nil,
        tags: [String: String] = [:]
    ) {
        self.payload = payload
        self.event = event
        self.offset = offset
        if publisher != nil || !tags.isEmpty { extras = Extras(publisher, tags) }
    }

    /// The client that published it; nil for backends.
    package var publisher: ClientInfo? { extras?.publisher }

    /// What a backend attached to it, for protocols that can carry it.
    package var tags: [String: String] { extras?.tags ?? [:] }
}

extension Publication {
    /// The tags with the event's name among them, unless it is the usual one.
    package var allTags: [(key: String, value: String)] {
        guard let tags = extras?.tags, !tags.isEmpty else { return event == "message" ? [] : [("event", event)] }
        var all = tags
        if event != "message" { all["event"] = event }
        return all.sorted { $0.key < $1.key }
    }
}

/// Who a connection is, as presence shows it.
package struct ClientInfo: Sendable, Hashable {
    package var client: String
    package var user: String
    package var info: JSONValue?

    package init(client: String, user: String, info: JSONValue? = nil) {
        self.client = client
        self.user = user
        self.info = info
    }
}
