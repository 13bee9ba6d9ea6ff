internal import DequeModule
internal import EventBus
internal import Events
internal import Logging
internal import Metrics
internal import Synchronization

/// Finds subscriptions that are dead although the connection is alive, as when the server took a permission away for a
/// moment: a quiet channel and a dead one look the same from here, but not in the stream.
extension Hub {
    /// Each of up to 2,000 channels has its turn within 40 s.
    package static let auditsEachSecond = 50

    /// Looks at up to `limit` channels that have been silent since their last turn. Called about once a second.
    package func audit(limit: Int) {
        let names = audits.withLock { rotation in
            rotation.next(limit) { channels.withLock { Array($0.keys) } }
        }
        for name in names {
            guard let channel = channels.withLock({ $0[name] }), channel.isUnproven() else { continue }
            later { [self] in await audit(channel) }
        }
    }

    private func audit(_ channel: HubChannel) async {
        do {
            let last = try await bus.lastMessage(
                in: subjects.historyStream(namespace: channel.name.namespace), subject: subjects.channel(channel.name))
            guard let last, channel.isBehind(last.sequence) else { return }
            // What the server had for us when the stream answered is here when this returns.
            try await feed.flush(timeout: .seconds(5))
            guard channel.isBehind(last.sequence) else { return }
            deadSubscriptions.increment()
            logger.warning(
                "a subscription was dead and is made again", metadata: ["channel": "\(channel.name)"])
            try await subscribe(channel)
            if channel.beginHealing() { await heal(channel) }
        } catch {
            // The bus is away; its return heals every channel.
            logger.debug("an audit waits for the bus", metadata: ["channel": "\(channel.name)"])
        }
    }
}

/// Whose turn it is to be audited: every channel once before any has its second turn.
struct AuditRotation {
    private var waiting: Deque<ChannelName> = []

    mutating func next(_ limit: Int, _ all: () -> [ChannelName]) -> [ChannelName] {
        if waiting.isEmpty { waiting = Deque(all()) }
        let names = Array(waiting.prefix(limit))
        waiting.removeFirst(names.count)
        return names
    }
}

extension HubChannel {
    /// Whether nothing has shown since the last call that the subscription lives; begins to look for proof anew.
    func isUnproven() -> Bool {
        state.withLock { state in
            defer { state.isProven = false }
            return state.phase == .live && history != nil && !state.isProven
        }
    }

    func isBehind(_ sequence: UInt64) -> Bool {
        state.withLock { $0.phase == .live && $0.chain.last < sequence }
    }

    /// Whether it follows another life of the stream than this one.
    func isOutdated(_ epoch: String) -> Bool {
        state.withLock { $0.phase == .live && $0.epoch != epoch }
    }
}
