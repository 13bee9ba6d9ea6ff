/// How fast the clients of a gateway that leaves are told to go.
package struct DrainPolicy: Sendable, Equatable {
    /// At the most (`gateway.drain.duration`).
    package var duration: Duration
    /// Clients each second, when that takes less (`gateway.drain.rate`); nil takes the whole duration.
    package var perSecond: Int?

    package init(duration: Duration = .seconds(15), perSecond: Int? = 500) {
        self.duration = duration
        self.perSecond = perSecond
    }

    /// How long it takes to send so many clients away.
    package func duration(for clients: Int) -> Duration {
        guard let perSecond, clients > 0 else { return clients > 0 ? duration : .zero }
        return min(duration, .milliseconds(Int64(clients) * 1000 / Int64(max(1, perSecond))))
    }
}

/// Which of a shard's connections are told to go when: all of them, in random order, evenly over a time. In the order of
/// their coming, the clients of one page or one office would all leave in the same moment.
package struct DrainSchedule: Sendable {
    private var waiting: [ConnectionID]
    private let total: Int
    private let start: Moment
    private let duration: Duration

    package init(
        _ connections: [ConnectionID], over duration: Duration, now: Moment,
        using random: inout some RandomNumberGenerator
    ) {
        waiting = connections.sorted { $0.number < $1.number }.shuffled(using: &random)
        total = connections.count
        start = now
        self.duration = duration
    }

    package var isDone: Bool { waiting.isEmpty }

    /// Those whose time has come since this was asked last.
    package mutating func due(now: Moment) -> [ConnectionID] {
        let share = duration > .zero ? min(1, max(0, start.duration(to: now) / duration)) : 1
        let target = share < 1 ? Int((Double(total) * share).rounded(.up)) : total
        let count = min(waiting.count, max(0, target - (total - waiting.count)))
        defer { waiting.removeLast(count) }
        return Array(waiting.suffix(count))
    }
}
