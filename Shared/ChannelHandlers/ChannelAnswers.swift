public import JSON

/// Lets somebody in.
///
/// ```
/// {"data":{"messages":[…]},"expires_in":300}
/// ```
public struct JoinAnswer: Sendable, Equatable {
    /// What the client gets with the answer to its join.
    public var data: JSONValue?
    /// After how long the gateway asks again, as a renewal; nil is never.
    public var expiresIn: Duration?

    public init(data: JSONValue? = nil, expiresIn: Duration? = nil) {
        self.data = data
        self.expiresIn = expiresIn
    }

    public static func welcome(_ data: JSONValue? = nil, expiresIn: Duration? = nil) -> JoinAnswer {
        JoinAnswer(data: data, expiresIn: expiresIn)
    }

    /// In whole seconds, rounded up: the gateway must not ask earlier than wanted, nor at once again and again.
    var encoded: JSONValue {
        var members: JSONObject = [:]
        members["data"] = data
        if let expiresIn {
            let (seconds, attoseconds) = expiresIn.components
            members["expires_in"] = .integer(max(1, attoseconds > 0 && seconds < .max ? seconds + 1 : seconds))
        }
        return .object(members)
    }
}

/// What becomes of an event that a client sent.
public struct EventAnswer: Sendable, Equatable {
    /// Who gets the event.
    public enum Audience: Sendable, Equatable {
        /// Everybody on the channel, the sender included.
        case everyone
        /// Everybody but the connection that sent it.
        case others
        case nobody
    }

    public var audience: Audience
    /// What is broadcast; nil is what the client sent.
    public var data: JSONValue?
    /// The broadcast's name; nil is the event's own.
    public var event: String?
    /// Whether it becomes a part of the channel's history, where the namespace has one.
    public var isStored: Bool
    /// What goes back to the sender, where its protocol can carry it: in Phoenix the push's reply. Centrifuge clients
    /// learn only that it was taken.
    public var reply: JSONValue?

    public init(
        _ audience: Audience, data: JSONValue? = nil, event: String? = nil, isStored: Bool = true,
        reply: JSONValue? = nil
    ) {
        self.audience = audience
        self.data = data
        self.event = event
        self.isStored = isStored
        self.reply = reply
    }

    /// Sends it to everybody on the channel; `storing: false` is for what nobody needs who comes later.
    public static func broadcast(
        _ data: JSONValue? = nil, event: String? = nil, storing: Bool = true, reply: JSONValue? = nil
    ) -> EventAnswer {
        EventAnswer(.everyone, data: data, event: event, isStored: storing, reply: reply)
    }

    /// Sends it to everybody but the sender's connection.
    public static func broadcastToOthers(
        _ data: JSONValue? = nil, event: String? = nil, storing: Bool = true, reply: JSONValue? = nil
    ) -> EventAnswer {
        EventAnswer(.others, data: data, event: event, isStored: storing, reply: reply)
    }

    /// Sends nothing to the channel; the sender gets `reply`.
    public static func reply(_ reply: JSONValue) -> EventAnswer { EventAnswer(.nobody, reply: reply) }

    /// Sends nothing to anybody.
    public static let handled = EventAnswer(.nobody)

    /// Whether the service publishes it: what the gateway publishes goes to everybody and is stored.
    var isPublishedHere: Bool { audience == .others || (audience == .everyone && !isStored) }

    /// As the gateway reads it.
    var encoded: JSONValue {
        var members: JSONObject = [:]
        if audience == .everyone && !isPublishedHere {
            members["data"] = data
            members["event"] = event.map { .string($0) }
        } else {
            members["publish"] = false
        }
        members["reply"] = reply
        return .object(members)
    }
}
