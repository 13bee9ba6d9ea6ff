internal import Events
internal import GatewayWire

/// What only some connections have, or only for a while.
///
/// Belongs to its connection and never leaves the shard's executor.
final class ConnectionExtras {
    /// The positions of all its channels, for protocols that write them with each message.
    var cursor: ChannelCursor?
    /// The channels, as the client calls them, of which messages that it has not seen are gone: it could not go on there.
    var lostChannels: [String] = []
    /// See ``Connection/allowance``.
    var allowance = 0
    /// Of each channel, the client's last publication that is under way, and how many are.
    var publishing: [ChannelName: (last: Task<Void, Never>, count: Int)] = [:]
    /// Where it stands in a trace, as its handshake or its connect said.
    var trace: TraceContext?
    /// What waits for the bus.
    var tasks: [UInt64: Task<Void, Never>] = [:]
    /// When the subscriptions to these channels must be looked at: they must be renewed, or have been.
    var looks: [ChannelName: DueSecond] = [:]

    var isEmpty: Bool {
        cursor == nil && lostChannels.isEmpty && allowance == 0 && publishing.isEmpty && trace == nil && tasks.isEmpty
            && looks.isEmpty
    }
}
