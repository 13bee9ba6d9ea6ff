/// How many messages of each of a namespace's channels are kept, and for how long.
public struct ChannelHistory: Sendable, Hashable {
    /// Messages per channel.
    public var size: Int
    public var timeToLive: Duration

    public init(size: Int, timeToLive: Duration) {
        self.size = size
        self.timeToLive = timeToLive
    }

    /// How long a stream remembers at least where a channel was after its last message. Much longer than the history
    /// itself: otherwise a client that was away for a moment on a quiet channel could not be told that it missed nothing.
    public static let positionRetention = Duration.seconds(30 * 86_400)

    /// The history of the namespaces that exist without configuration; a deployment may override them by name.
    public static let builtIn: [String: ChannelHistory] = [
        "user": ChannelHistory(size: 50, timeToLive: .seconds(7 * 86_400)),
        "room": ChannelHistory(size: 100, timeToLive: .seconds(86_400)),
        "topic": ChannelHistory(size: 100, timeToLive: .seconds(86_400)),
        "admin": ChannelHistory(size: 100, timeToLive: .seconds(7 * 86_400)),
        "task": ChannelHistory(size: 100, timeToLive: .seconds(86_400)),
        "table": ChannelHistory(size: 1000, timeToLive: .seconds(86_400)),
    ]
}
