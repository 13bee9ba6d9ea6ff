internal import Events

/// The handlers that are alive: one for each channel that was asked about lately, at most so many.
///
/// A value: whoever owns it takes handlers for questions and gives them back. One that is in use is never let go.
struct LiveHandlers<Handler> {
    private struct Entry {
        var handler: Handler
        /// Questions that it is answering.
        var uses = 0
        /// When the last of them ended.
        var lastUse: Timestamp
    }

    private var entries: [ChannelName: Entry] = [:]
    private let maximumCount: Int
    private let idleTime: Duration
    /// Handlers that were let go since they were too many, not since they were idle for long enough.
    private(set) var evicted: UInt64 = 0

    /// - Parameters:
    ///   - maximumCount: at least 1.
    ///   - idleTime: at least a second.
    init(maximumCount: Int, idleTime: Duration) {
        self.maximumCount = max(1, maximumCount)
        self.idleTime = max(idleTime, .seconds(1))
    }

    var count: Int { entries.count }

    /// The channel's handler, now in use once more; nil if it has none.
    mutating func take(_ channel: ChannelName) -> Handler? {
        entries[channel]?.uses += 1
        return entries[channel]?.handler
    }

    /// Adds a handler for a channel, in use; if somebody was faster, theirs stays and is taken.
    /// - Returns: nil if there are as many as there may be and all are in use.
    mutating func add(_ handler: Handler, for channel: ChannelName, now: Timestamp) -> Handler? {
        if let present = take(channel) { return present }
        if entries.count >= maximumCount { evict() }
        guard entries.count < maximumCount else { return nil }
        entries[channel] = Entry(handler: handler, uses: 1, lastUse: now)
        return handler
    }

    mutating func giveBack(_ channel: ChannelName, now: Timestamp) {
        entries[channel]?.uses -= 1
        entries[channel]?.lastUse = now
    }

    /// Lets go of those that have been idle for the whole time.
    /// - Returns: in how long to look again, not much later than the next one will have been; nil if none is left.
    mutating func expire(now: Timestamp) -> Duration? {
        entries = entries.filter { $0.value.uses > 0 || $0.value.lastUse.duration(to: now) < idleTime }
        guard !entries.isEmpty else { return nil }
        let idle = entries.values.filter { $0.uses == 0 }.map { idleTime - $0.lastUse.duration(to: now) }
        // Not once for each handler, when many grow old one after the other.
        return max(idle.min() ?? idleTime, idleTime / 8)
    }

    /// Makes room: the tenth that has been idle for longest goes, so that the search for it is paid by many.
    private mutating func evict() {
        let idle = entries.filter { $0.value.uses == 0 }.sorted { $0.value.lastUse < $1.value.lastUse }
        for (channel, _) in idle.prefix(max(1, maximumCount / 10)) {
            entries[channel] = nil
            evicted += 1
        }
    }
}
