package import EventBus
package import Events
package import GatewayWire
package import Logging
internal import Metrics
internal import Synchronization

/// The gateway's one view of the bus: knows which shards want which channel, owns the bus subscriptions (the first
/// subscriber makes one, it lingers a while after the last one left), the continuity of each channel and its recent
/// messages.
///
/// Thread-safe. ``run()`` must be running: it owns everything that waits for the bus.
package final class Hub: Sendable {
    private let bus: any EventBus
    private let subjects: Subjects
    private let namespaces: NamespaceTable
    private let logger: Logger
    private let clock: @Sendable () -> Timestamp
    private let channels = Mutex<[ChannelName: HubChannel]>([:])
    /// The epochs of streams, until the bus was away: they may have been made anew then.
    private let epochs = Mutex<[String: String]>([:])
    /// Work that waits for the bus. At most one start, one healing and one load per channel are in it.
    private let work: AsyncStream<@Sendable () async -> Void>
    private let workContinuation: AsyncStream<@Sendable () async -> Void>.Continuation

    private let invalidMessages = Counter(label: "apus_gateway_invalid_messages_total")
    private let heals = Counter(label: "apus_gateway_channel_heals_total")
    private let interruptions = Counter(label: "apus_gateway_channel_interruptions_total")
    private let channelCount = Gauge(label: "apus_gateway_channels")

    /// How long a channel that nobody wants stays, so that a page that is reloaded finds it warm.
    package static let linger = Duration.seconds(5)

    package init(
        bus: any EventBus, subjects: Subjects, namespaces: NamespaceTable, logger: Logger,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.bus = bus
        self.subjects = subjects
        self.namespaces = namespaces
        self.logger = logger
        self.clock = clock
        (work, workContinuation) = AsyncStream.makeStream()
    }

    /// Carries out what waits for the bus, and looks for missing messages whenever the bus comes back. Returns when
    /// the task is cancelled.
    package func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask { [self] in
                    for await event in bus.connectionEvents() {
                        switch event {
                        case .connected, .slowConsumer: await healAll()
                        case .disconnected, .closed: epochs.withLock { $0 = [:] }
                        }
                    }
                }
                for await item in work { group.addTask(operation: item) }
                group.cancelAll()
            }
        } onCancel: {
            workContinuation.finish()
        }
    }

    // MARK: Attaching

    /// Makes `shard` get the channel's messages from now on, and returns when the channel is live.
    ///
    /// The shard may get messages before this returns; it tells by their sequence which of them its client has.
    /// - Throws: ``BusError`` when the bus does not answer.
    package func attach(_ name: ChannelName, _ shard: any ChannelReceiver) async throws -> HubChannel {
        while true {
            let (channel, isNew) = channels.withLock { channels in
                if let channel = channels[name], !channel.isClosed { return (channel, false) }
                let channel = HubChannel(name: name, history: namespaces[name.namespace]?.history)
                channels[name] = channel
                channelCount.record(channels.count)
                return (channel, true)
            }
            guard channel.add(shard) else { continue }
            if isNew { workContinuation.yield { [self] in await start(channel) } }
            try await channel.waitUntilStarted()
            return channel
        }
    }

    /// The shard has no subscriber on the channel any more.
    package func detach(_ name: ChannelName, _ shard: any ChannelReceiver, now: Moment) {
        channels.withLock { $0[name] }?.remove(shard, now: now)
    }

    /// Ends channels that nobody has wanted for a while. Called about once a second.
    package func sweep(now: Moment) {
        channels.withLock { channels in
            for (name, channel) in channels where channel.closeIfIdle(now: now, linger: Hub.linger) {
                channels[name] = nil
            }
            channelCount.record(channels.count)
        }
    }

    /// How many channels somebody connected here is on.
    package var wantedCount: Int { channels.withLock { $0.values.count { $0.isWanted } } }

    /// Gives changes of presence to those subscribers of their channels that are connected here: all of a channel at
    /// once, in their order.
    package func deliver(_ changes: [PresenceChange]) {
        for (name, changes) in Dictionary(grouping: changes, by: \.channel) {
            channels.withLock { $0[name] }?.deliver(.presence(changes, on: name))
        }
    }

    private func start(_ channel: HubChannel) async {
        do {
            let subject =
                channel.history == nil ? subjects.channel(channel.name) : subjects.live(channel.name)
            let subscription = try bus.subscribe(subject, queue: nil) { [self, weak channel] message in
                guard let channel else { return }
                carryOut(channel.receive(message, now: clock()), channel)
            }
            channel.own(subscription)
            // The server must know the subscription before the position is read, or messages in between would be missed.
            try await bus.flush(timeout: .seconds(5))
            guard channel.history != nil else {
                return carryOut(channel.started(epoch: "", last: 0, now: clock()), channel)
            }
            let position = try await position(of: channel.name)
            carryOut(channel.started(epoch: position.epoch, last: position.offset, now: clock()), channel)
        } catch {
            logger.warning(
                "a channel could not be subscribed",
                metadata: ["channel": "\(channel.name)", "error": "\(error)"])
            channel.startFailed(error)
        }
    }

    /// The channel's present position: its last message, or the stream's end if it has none.
    private func position(of name: ChannelName) async throws -> StreamPosition {
        let stream = subjects.historyStream(namespace: name.namespace)
        // In this order: what is stored between the two answers is newer than the first and comes by the subscription.
        let state = try await bus.streamState(stream)
        let last = try await bus.lastMessage(in: stream, subject: subjects.channel(name))
        return StreamPosition(epoch: state.epoch, offset: last?.sequence ?? state.lastSequence)
    }

    private func carryOut(_ consequence: HubChannel.Consequence, _ channel: HubChannel) {
        switch consequence {
        case .nothing: break
        case .countInvalid:
            invalidMessages.increment()
            logger.debug("a message is not JSON and was left out", metadata: ["channel": "\(channel.name)"])
        case .heal: workContinuation.yield { [self] in await heal(channel) }
        }
    }

    // MARK: Healing

    private func healAll() async {
        for channel in channels.withLock({ Array($0.values) }) where channel.beginHealing() {
            workContinuation.yield { [self] in await heal(channel) }
        }
    }

    /// Reads what is missing from the stream and passes it on, trying until it is done or nobody wants the channel.
    private func heal(_ channel: HubChannel) async {
        heals.increment()
        var delay = Duration.milliseconds(50)
        while let position = channel.healingPosition, !Task.isCancelled {
            do {
                return carryOut(try await healOnce(channel, from: position), channel)
            } catch {
                logger.debug("healing a channel waits for the bus", metadata: ["channel": "\(channel.name)"])
                try? await Task.sleep(for: delay)
                delay = min(delay * 2, .seconds(2))
            }
        }
    }

    private func healOnce(
        _ channel: HubChannel, from position: (epoch: String, last: UInt64)
    ) async throws -> HubChannel.Consequence {
        let stream = subjects.historyStream(namespace: channel.name.namespace)
        let limit = (channel.history?.size ?? 0) + 1
        let state = try await bus.streamState(stream)
        let missing = try await bus.messages(
            in: stream, subject: subjects.channel(channel.name), after: position.last, limit: limit)
        // As many as the stream keeps of a channel: those before them may have been trimmed unseen.
        if state.epoch != position.epoch || missing.count >= limit {
            interruptions.increment()
            let now = try await self.position(of: channel.name)
            return channel.interrupted(epoch: now.epoch, last: now.offset, now: clock())
        }
        return channel.healed(missing, now: clock())
    }

    // MARK: History

    /// Where a reader at `position` can go on, and what it missed.
    package func recover(_ channel: HubChannel, from position: StreamPosition) async throws -> Recovery {
        if let recovery = channel.recovery(from: position, now: clock()) { return recovery }
        try await load(channel)
        return channel.recovery(from: position, now: clock())
            ?? Recovery(position: channel.position, outcome: .failed, messages: [])
    }

    /// What the channel's history holds, oldest first, and the position behind it.
    package func history(_ channel: HubChannel) async throws -> Recovery {
        if let history = channel.everything(now: clock()) { return history }
        try await load(channel)
        return channel.everything(now: clock())
            ?? Recovery(position: channel.position, outcome: .notAsked, messages: [])
    }

    /// The present life of the stream behind a namespace's channels; nil if it has none or the bus is away.
    package func epoch(of namespace: String) async -> String? {
        if let known = epochs.withLock({ $0[namespace] }) { return known }
        let epoch = try? await bus.streamState(subjects.historyStream(namespace: namespace)).epoch
        epochs.withLock { $0[namespace] = epoch }
        return epoch
    }

    /// Reads the channel's history from the stream, once however many ask at the same time.
    private func load(_ channel: HubChannel) async throws {
        try await withCheckedThrowingContinuation { continuation in
            guard channel.joinLoad(continuation) else { return }
            workContinuation.yield { [self] in
                do {
                    let stream = subjects.historyStream(namespace: channel.name.namespace)
                    let state = try await bus.streamState(stream)
                    let stored = try await bus.messages(
                        in: stream, subject: subjects.channel(channel.name), after: 0,
                        limit: (channel.history?.size ?? 0) + 1)
                    channel.loaded(stored, firstSequence: state.firstSequence)
                } catch {
                    channel.loadFailed(error)
                }
            }
        }
    }
}
