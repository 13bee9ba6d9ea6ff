internal import EventBus
internal import Events

/// Reads what a stream holds of a channel, without holes.
///
/// The stream keeps so many messages of a channel and lets go of the oldest when one comes, also while they are read: on a busy
/// channel it may overtake the reader, who then gets what comes behind those that went, and no sign of them. So the oldest message
/// that is still there is looked at afterwards: what is not older has been there all the time.
struct HistoryReading: Sendable {
    /// How many messages the stream keeps of the channel.
    private let limit: Int
    /// Up to so many messages of the channel with a greater sequence, oldest first.
    private let read: @Sendable (_ after: UInt64, _ count: Int) async throws -> [StoredMessage]

    init(limit: Int, read: @escaping @Sendable (_ after: UInt64, _ count: Int) async throws -> [StoredMessage]) {
        self.limit = limit
        self.read = read
    }

    init(_ channel: ChannelName, _ history: ChannelHistory?, bus: any EventBus, subjects: Subjects) {
        let (stream, subject) = (subjects.historyStream(namespace: channel.namespace), subjects.channel(channel))
        self.init(limit: (history?.size ?? 0) + 1) { sequence, count in
            try await bus.messages(in: stream, subject: subject, after: sequence, limit: count)
        }
    }

    struct Newest: Sendable {
        /// Oldest first, at most as many as the stream is to keep.
        var messages: [StoredMessage]
        /// There may have been older ones that are gone.
        var mayBeTrimmed: Bool
    }

    /// The newest messages. The stream may hold more than it is to keep, once its server was killed.
    func newest() async throws -> Newest {
        var newest: [StoredMessage] = []
        var count = 0
        while true {
            let page = try await read(newest.last?.sequence ?? 0, limit + 1)
            count += page.count
            newest = (newest + page).suffix(limit)
            if page.count <= limit { break }
        }
        let oldest = try await read(0, 1).first?.sequence ?? 0
        let whole = newest.drop { $0.sequence < oldest }
        return Newest(messages: Array(whole), mayBeTrimmed: count >= limit || whole.count < count)
    }

    /// All messages after a sequence; nil if some of them may be gone.
    func everything(after last: UInt64) async throws -> [StoredMessage]? {
        var messages: [StoredMessage] = []
        while true {
            let more = try await read(messages.last?.sequence ?? last, limit - messages.count)
            messages += more
            guard messages.count < limit else { return nil }
            // Fewer than the stream keeps, and that is all: it did not have to let go of any.
            if more.isEmpty { return messages }
            // An older one is still there.
            if let oldest = try await read(0, 1).first, oldest.sequence <= last { return messages }
        }
    }
}
