package import Events
package import GatewayWire

/// What a session wants done after an input. Results of actions come back as inputs.
package enum SessionAction: Sendable, Equatable {
    case send(ServerMessage)
    /// Count that the client ran into a limit; the answer to it follows.
    case limited(GatewayLimit)
    /// Tell the client why, then close. Nothing follows.
    case close(Disconnect)
    /// The client is who it says it is.
    case authenticated
    /// Join the channel; answer with ``Session/subscribed(_:_:)`` or ``Session/subscriptionFailed(_:_:)``.
    /// `data` is what the client sent along for the hook, as JSON text.
    case join(ChannelName, from: StreamPosition?, asksHook: Bool, data: [UInt8]? = nil)
    /// The subscription is complete: messages from here on go to the client.
    case follow(ChannelName)
    case leave(ChannelName, reason: LeaveReason = .unsubscribe)
    /// Everything that the address asked for is there.
    case opened([OpenedChannel])
    /// Answer with ``Session/completed(_:)``.
    case publish(ChannelName, PublishCommand, asksHook: Bool, CommandReference)
    case call(method: String, parameters: [UInt8], CommandReference)
    case presence(ChannelName, CommandReference)
    case presenceStatistics(ChannelName, CommandReference)
    case history(HistoryCommand, ChannelName, CommandReference)
    /// When the connection must have got a new token, or is closed.
    case expire(at: Timestamp)
    /// Call ``Session/subscriptionDeadlineReached(_:time:)`` then.
    case look(ChannelName, at: Timestamp)
    /// Ask the hook again whether the client may stay; answer with ``Session/renewed(_:_:time:)`` or
    /// ``Session/renewalFailed(_:_:time:)``.
    case renew(ChannelName)
}

/// A channel of an address, ready.
package struct OpenedChannel: Sendable, Equatable {
    package var channel: ChannelName
    package var label: String
    package var result: SubscribeResult

    package init(channel: ChannelName, label: String, result: SubscribeResult) {
        self.channel = channel
        self.label = label
        self.result = result
    }
}
