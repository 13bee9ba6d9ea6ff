package import Events
package import GatewayWire
package import JSON

/// Which connections an order is for: those of a user, or some of them.
package struct ConnectionSelection: Sendable, Equatable {
    /// Nil is any user, for an order that names a client or a session.
    package var user: String?
    package var client: String?
    package var session: String?
    /// Clients that are left alone.
    package var excluded: [String]

    package init(user: String?, client: String? = nil, session: String? = nil, excluded: [String] = []) {
        self.user = user
        self.client = client
        self.session = session
        self.excluded = excluded
    }

}

/// A selection, ready to be held against many connections.
package struct ConnectionMatcher: Sendable {
    private let user: String?
    private let client: Wanted
    private let session: Wanted
    private let excluded: [RandomID]

    private enum Wanted: Sendable {
        case any
        /// Nil is what no connection has.
        case one(RandomID?)

        init(_ text: String?) { self = text.map { .one(RandomID($0)) } ?? .any }

        func isMet(by id: RandomID) -> Bool { if case .one(let wanted) = self { wanted == id } else { true } }
    }

    package init(_ selection: ConnectionSelection) {
        user = selection.user
        client = Wanted(selection.client)
        session = Wanted(selection.session)
        excluded = selection.excluded.compactMap { RandomID($0) }
    }

    package func includes(user: String?, client: RandomID, session: RandomID) -> Bool {
        if let wanted = self.user, wanted != user ?? "" { return false }
        return self.client.isMet(by: client) && self.session.isMet(by: session) && !excluded.contains(client)
    }
}

/// What a backend wants done with connections, on whatever gateway they are.
package enum ControlOrder: Sendable, Equatable {
    case disconnect(Disconnect)
    /// Nil is every channel.
    case unsubscribe(ChannelName?)
    case subscribe(ChannelName, from: StreamPosition?, data: JSONValue?)
    /// The connection ends at that time unless it is refreshed; nil is never.
    case refresh(expiresAt: Timestamp?)
}

/// What one gateway asks of all gateways, itself among them.
package enum ControlQuestion: Sendable, Equatable {
    case order(ControlOrder, ConnectionSelection)
    /// How much each gateway has.
    case figures
    /// The channels whose names fit the pattern (nil is all), with their subscribers.
    case channels(pattern: String?)
}

/// What a gateway answers.
package enum ControlAnswer: Sendable, Equatable {
    /// So many connections were concerned.
    case done(Int)
    case figures(GatewayFigures)
    case channels([String: Int])
}

/// How much a gateway has.
package struct GatewayFigures: Sendable, Equatable {
    package var name: String
    package var version: String
    package var clients: Int
    package var users: Int
    package var subscriptions: Int
    package var channels: Int
    package var uptimeSeconds: Int

    package init(
        name: String, version: String, clients: Int = 0, users: Int = 0, subscriptions: Int = 0, channels: Int = 0,
        uptimeSeconds: Int = 0
    ) {
        self.name = name
        self.version = version
        self.clients = clients
        self.users = users
        self.subscriptions = subscriptions
        self.channels = channels
        self.uptimeSeconds = uptimeSeconds
    }
}
