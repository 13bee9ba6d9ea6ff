package import Events

/// Somebody came to a channel or left it, as its subscribers are told.
package struct PresenceChange: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case joined
        case left
    }

    package var kind: Kind
    package var channel: ChannelName
    /// Its client is the id that the channel knows the member by: that of the connection with which it first came. A
    /// client that was cut off and came back in time is still known by it, so that a later `left` names what an earlier
    /// `joined` did.
    package var info: ClientInfo

    package init(_ kind: Kind, _ channel: ChannelName, _ info: ClientInfo) {
        self.kind = kind
        self.channel = channel
        self.info = info
    }
}
