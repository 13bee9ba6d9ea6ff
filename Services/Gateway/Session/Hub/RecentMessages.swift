internal import DequeModule
package import Events
package import GatewayWire

/// The newest messages of a channel, as long as no one between them is missing; what clients that come back are served
/// from, so that a thousand of them cost the stream one read.
package struct RecentMessages: Sendable {
    /// Every message of the channel with a higher sequence that the stream has is here.
    package private(set) var base: UInt64
    private var messages: Deque<ChannelMessage> = []
    private var bytes = 0
    /// Whether older ones had to go for their size: the stream may still have them.
    package private(set) var isCutShort = false
    private let maximumCount: UInt32
    private var maximumBytes: UInt32

    /// How much one channel may keep in memory.
    package static let maximumBytes = 1_048_576

    package init(base: UInt64, maximumCount: Int, maximumBytes: Int = RecentMessages.maximumBytes) {
        self.base = base
        self.maximumCount = UInt32(clamping: maximumCount)
        self.maximumBytes = UInt32(clamping: maximumBytes)
    }

    /// Adds the next message; the oldest go when there are too many.
    package mutating func append(_ message: ChannelMessage) {
        messages.append(message)
        bytes += message.publication.payload.count
        while messages.count > maximumCount { removeOldest() }
        shrink()
    }

    /// The same with less of the past.
    package func cut(toBytes maximumBytes: Int) -> RecentMessages {
        var copy = self
        copy.maximumBytes = UInt32(clamping: maximumBytes)
        copy.shrink()
        return copy
    }

    private mutating func shrink() {
        while bytes > maximumBytes, messages.count > 1 {
            removeOldest()
            isCutShort = true
        }
    }

    /// Forgets what has outlived the history's time to live.
    package mutating func expire(before limit: Timestamp) {
        while let first = messages.first, first.storedAt < limit { removeOldest() }
    }

    /// The history up to `sequence` was removed: nobody can go on from before it.
    package mutating func forgetAll(upTo sequence: UInt64) {
        messages.removeAll()
        bytes = 0
        base = max(base, sequence)
        isCutShort = false
    }

    private mutating func removeOldest() {
        let oldest = messages.removeFirst()
        bytes -= oldest.publication.payload.count
        base = max(base, oldest.sequence)
    }

    /// The messages after `offset`; nil if some of them may be missing here.
    package func after(_ offset: UInt64) -> [ChannelMessage]? {
        guard offset >= base else { return nil }
        // Sequences grow, and most who ask have nearly all.
        var first = messages.endIndex
        while first > messages.startIndex, messages[first - 1].sequence > offset { first -= 1 }
        return Array(messages[first...])
    }

    package var all: [ChannelMessage] { Array(messages) }
}

/// A message of a channel on its way to clients; immutable, shared by all of them.
package final class ChannelMessage: Sendable {
    package let publication: Publication
    /// When the stream took it, or when it came here on a channel without history.
    package let storedAt: Timestamp
    /// Of the channel's lives, the one in which it was passed on: its sequence says nothing in another.
    package let generation: UInt32
    /// The connection that does not get it, being the one that caused it.
    package let excludedClient: RandomID?

    package init(
        publication: Publication, storedAt: Timestamp, generation: UInt32 = 0, excludedClient: RandomID? = nil
    ) {
        self.publication = publication
        self.storedAt = storedAt
        self.generation = generation
        self.excludedClient = excludedClient
    }

    /// Its sequence in the stream; 0 on channels without history.
    package var sequence: UInt64 { publication.offset ?? 0 }
}
