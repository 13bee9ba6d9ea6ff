internal import Events
internal import GatewayWire

extension Session {
    /// A channel that the client is on, or is about to be on.
    struct Entry: OfChannel, Sendable {
        /// Where the name has been kept already, that copy: see ``Session/subscribed(_:_:expiresIn:time:)``.
        var channelName: ChannelName
        private var more = Aside<More>()
        /// Which command it answers; nil for those that belong to the connect.
        let reference: CommandReference?
        var isLive = false
        let wantsJoinLeave: Bool
        let wantsPresence: Bool

        /// What few subscriptions have, or only for a while.
        private struct More: Sendable {
            /// The channel's name as the client writes it, where that is not how it is written.
            var label: String?
            var data: [UInt8]?
            var lease: SubscriptionLease?
            var early: [EarlyPublication] = []

            var isEmpty: Bool { label == nil && data == nil && lease == nil && early.isEmpty }
        }

        init(
            _ channel: ChannelName, _ command: SubscribeCommand, reference: CommandReference?,
            lease: SubscriptionLease? = nil, data: [UInt8]? = nil
        ) {
            channelName = channel
            self.reference = reference
            wantsJoinLeave = command.wantsJoinLeave
            wantsPresence = command.wantsPresence
            // By bytes: another spelling of the same characters is another label.
            let isPlain = command.label.utf8.elementsEqual(channel.description.utf8)
            guard !isPlain || lease != nil || data != nil else { return }
            more.change(from: More()) { more in
                more.label = isPlain ? nil : command.label
                more.lease = lease
                more.data = data
            }
        }

        /// The channel's name as the client wrote it.
        var label: String { more.value?.label ?? channelName.description }

        /// What a backend that made the subscription has for the client, as JSON text.
        var data: [UInt8]? { more.value?.data }

        /// What must happen for it to stay; nil is nothing.
        var lease: SubscriptionLease? {
            get { more.value?.lease }
            set { set(newValue != nil) { $0.lease = newValue } }
        }

        /// What was published before the subscription was there, by clients whose protocol lets them.
        var early: [EarlyPublication] {
            get { more.value?.early ?? [] }
            set { set(!newValue.isEmpty) { $0.early = newValue } }
        }

        private mutating func set(_ isSomething: Bool, _ body: (inout More) -> Void) {
            guard isSomething || more.value != nil else { return }
            more.change(from: More(), body)
            if more.value?.isEmpty == true { more.clear() }
        }
    }

    /// A publication that waits for the subscription to be there.
    struct EarlyPublication: Sendable {
        var command: PublishCommand
        var reference: CommandReference
    }
}
