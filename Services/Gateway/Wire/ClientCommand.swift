package import Events

/// Which command a reply answers. A codec maps it to whatever its protocol uses; 0 is: no answer is wanted.
package typealias CommandReference = UInt32

/// What a client asks for, whatever protocol it speaks.
package enum ClientCommand: Sendable, Equatable {
    case connect(ConnectCommand, CommandReference)
    case subscribe(SubscribeCommand, CommandReference)
    case unsubscribe(channel: String, CommandReference)
    case publish(PublishCommand, CommandReference)
    case call(method: String, parameters: [UInt8], CommandReference)
    /// A message to the server that wants no answer.
    case send(payload: [UInt8])
    case presence(channel: String, CommandReference)
    case presenceStatistics(channel: String, CommandReference)
    case history(HistoryCommand, CommandReference)
    case refresh(token: String, CommandReference)
    case subscriptionRefresh(channel: String, token: String, CommandReference)
    case ping(CommandReference)
    /// The answer to the server's ping.
    case pong
    /// Something that the protocol allows and nobody here knows.
    case unknown(name: String, CommandReference)
    /// A command whose form is wrong, in a frame whose form is right: its sender is told, the connection goes on.
    case malformed(reason: String, CommandReference)
}

package struct ConnectCommand: Sendable, Equatable {
    package var token: String?
    /// What the client was called by its application, for logs.
    package var name: String?
    /// Subscriptions that the client wants at once with the connection.
    package var subscriptions: [SubscribeCommand]
    /// Where the connection stands in a trace, for clients that cannot send HTTP headers with their handshake.
    package var trace: TraceContext?

    package init(
        token: String? = nil, name: String? = nil, subscriptions: [SubscribeCommand] = [], trace: TraceContext? = nil
    ) {
        self.token = token
        self.name = name
        self.subscriptions = subscriptions
        self.trace = trace
    }
}

package struct SubscribeCommand: Sendable, Equatable {
    package var channel: String
    /// What the client calls the channel, in all that it is told of it, where that is not the channel's own name.
    package var label: String
    /// Where the client was; nil when it does not ask for recovery.
    package var recoverFrom: StreamPosition?
    /// Whether the client wants to be told who joins and leaves.
    package var wantsJoinLeave: Bool
    /// Whether the client wants to be told at the start who is there, and from then on who joins and leaves.
    package var wantsPresence: Bool
    /// What the client sent along for whoever admits it, as JSON text.
    package var data: [UInt8]?
    /// A token for this channel alone.
    package var token: String?
    /// A connection's token that came with the subscription: it makes an anonymous connection its user's, and refreshes
    /// one that is its user's already.
    package var connectionToken: String?
    /// Where set, a subscription to the channel that is there already does not refuse this one: it ends first, and its end
    /// is told as the answer to this reference.
    package var replacing: CommandReference?

    package init(
        channel: String, label: String? = nil, recoverFrom: StreamPosition? = nil, wantsJoinLeave: Bool = false,
        wantsPresence: Bool = false, data: [UInt8]? = nil, token: String? = nil, connectionToken: String? = nil,
        replacing: CommandReference? = nil
    ) {
        self.channel = channel
        self.label = label ?? channel
        self.recoverFrom = recoverFrom
        self.wantsJoinLeave = wantsJoinLeave
        self.wantsPresence = wantsPresence
        self.data = data
        self.token = token
        self.connectionToken = connectionToken
        self.replacing = replacing
    }
}

package struct PublishCommand: Sendable, Equatable {
    /// As the client wrote it.
    package var channel: String
    /// JSON text on one line, checked.
    package var payload: [UInt8]
    package var event: String
    /// What the client calls this message, if its protocol lets it say so: the same id again is the same message, on
    /// channels with history.
    package var messageID: String?
    /// Whether the sender's own connection is left out.
    package var excludesSender: Bool

    package init(
        channel: String, payload: [UInt8], event: String = "message", messageID: String? = nil,
        excludesSender: Bool = false
    ) {
        self.channel = channel
        self.payload = payload
        self.event = event
        self.messageID = messageID
        self.excludesSender = excludesSender
    }
}

package struct HistoryCommand: Sendable, Equatable {
    package var channel: String
    /// 0 is: the position only.
    package var limit: Int
    package var since: StreamPosition?
    package var isReversed: Bool

    package init(channel: String, limit: Int = 0, since: StreamPosition? = nil, isReversed: Bool = false) {
        self.channel = channel
        self.limit = limit
        self.since = since
        self.isReversed = isReversed
    }
}
