package import EventBus
package import Events
package import GatewayWire
package import Logging
internal import Metrics
internal import Synchronization

/// The gateway's one view of the bus and of the feed by which channel messages come: knows which shards want which channel,
/// owns the subscriptions (the first subscriber makes one, it lingers a while after the last one left), the continuity of
/// each channel and its recent messages.
///
/// Thread-safe. ``run()`` must be running: it owns everything that waits for the bus.
package final class Hub: Sendable {
    /// For reading streams.
    let bus: any EventBus
    /// For the messages of channels.
    let feed: any MessageFeed
    let subjects: Subjects
    let namespaces: NamespaceTable
    let logger: Logger
    let clock: @Sendable () -> Timestamp
    let channels = Mutex<[ChannelName: HubChannel]>([:])
    let audits = Mutex(AuditRotation())
    /// The epochs of streams, until the bus was away: they may have been made anew then.
    private let epochs = Mutex<[String: String]>([:])
    /// Those of each namespace.
    let starts = Mutex<[String: ChannelStarts]>([:])
    /// Work that waits for the bus. At most one healing, one load and one audit per channel, and what begins the channels of
    /// each namespace, are in it.
    private let work: AsyncStream<@Sendable () async -> Void>
    private let workContinuation: AsyncStream<@Sendable () async -> Void>.Continuation

    private let invalidMessages = Counter(label: "apus_gateway_invalid_messages_total")
    let heals = Counter(label: "apus_gateway_channel_heals_total")
    let interruptions = Counter(label: "apus_gateway_channel_interruptions_total")
    let deadSubscriptions = Counter(label: "apus_gateway_dead_subscriptions_total")
    private let channelCount = Gauge(label: "apus_gateway_channels")

    /// How long a channel that nobody wants stays, so that a page that is reloaded finds it warm.
    package static let linger = Duration.seconds(5)

    package init(
        bus: any EventBus, feed: any MessageFeed, subjects: Subjects, namespaces: NamespaceTable, logger: Logger,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.bus = bus
        self.feed = feed
        self.subjects = subjects
        self.namespaces = namespaces
        self.logger = logger
        self.clock = clock
        (work, workContinuation) = AsyncStream.makeStream()
    }

    /// Carries out what waits for the bus, and looks for missing messages whenever the feed has been away. Returns when
    /// the task is cancelled.
    package func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask { [self] in
                    for await event in feed.connectionEvents() {
                        switch event {
                        case .connected, .slowConsumer: healAll()
                        case .disconnected, .closed: forgetEpochs()
                        }
                    }
                }
                group.addTask { [self] in
                    // What came by the feed meanwhile was not lost; what could not be read is tried until it can be.
                    for await event in bus.connectionEvents() where event == .disconnected { forgetEpochs() }
                }
                for await item in work { group.addTask(operation: item) }
                group.cancelAll()
            }
        } onCancel: {
            workContinuation.finish()
        }
    }

    /// Has ``run()`` carry out what waits for the bus.
    func later(_ item: @escaping @Sendable () async -> Void) { workContinuation.yield(item) }

    // MARK: Attaching

    /// Makes `receiver` get the channel's messages from now on, and returns when the channel is live. Doing it twice is as
    /// doing it once.
    ///
    /// The receiver may get messages before this returns; it tells by their sequence which of them its client has.
    /// - Parameter isRecovering: whether its client has been on the channel before and wants what it missed: then a channel
    ///   that nobody is on yet begins where that can be said at once.
    /// - Throws: ``BusError`` when the bus does not answer.
    package func attach(
        _ name: ChannelName, _ receiver: any ChannelReceiver, isRecovering: Bool = false
    ) async throws -> HubChannel {
        let (channel, _) = follow(name, receiver, isRecovering: isRecovering)
        try await channel.waitUntilStarted()
        return channel
    }

    /// The same without waiting.
    /// - Returns: whether the channel is live. If not, the receiver will be given ``ChannelDelivery/started`` or
    ///   ``ChannelDelivery/startFailed``.
    func attachSoon(_ name: ChannelName, _ receiver: any ChannelReceiver, isRecovering: Bool) -> Bool {
        follow(name, receiver, isRecovering: isRecovering).isLive
    }

    private func follow(
        _ name: ChannelName, _ receiver: any ChannelReceiver, isRecovering: Bool
    ) -> (HubChannel, isLive: Bool) {
        while true {
            let (channel, isNew) = channels.withLock { channels in
                if let channel = channels[name], !channel.isClosed { return (channel, false) }
                let channel = HubChannel(name: name, history: namespaces[name.namespace]?.history, hub: self)
                channels[name] = channel
                channelCount.record(channels.count)
                return (channel, true)
            }
            let following = channel.follow(receiver)
            if following == .closed { continue }
            if isNew { start(channel, isExact: isRecovering) }
            return (channel, following == .live)
        }
    }

    /// The same for a channel that is followed already, without waiting for anybody; nil for any other.
    ///
    /// The beginning is as of the moment from which on the receiver gets the channel's messages.
    func attachAtOnce(_ name: ChannelName, _ receiver: any ChannelReceiver) -> (HubChannel, HubChannel.Beginning)? {
        guard let channel = channels.withLock({ $0[name] }), let beginning = channel.addIfStarted(receiver) else {
            return nil
        }
        return (channel, beginning)
    }

    /// The receiver does not want the channel any more.
    package func detach(_ name: ChannelName, _ receiver: any ChannelReceiver, now: Moment) {
        channels.withLock { $0[name] }?.remove(receiver, now: now)
    }

    /// Ends channels that nobody has wanted for a while. Called about once a second.
    package func sweep(now: Moment) {
        channels.withLock { channels in
            for (name, channel) in channels where channel.closeIfIdle(now: now, linger: Hub.linger) {
                channels[name] = nil
            }
            channels.giveBackRoom()
            channelCount.record(channels.count)
        }
    }

    /// How many channels somebody connected here is on.
    package var wantedCount: Int { channels.withLock { $0.values.count { $0.isWanted } } }

    /// Gives changes of presence to those subscribers of their channels that are connected here: all of a channel at
    /// once, in their order.
    package func deliver(_ changes: [PresenceChange]) {
        for (name, changes) in Dictionary(grouping: changes, by: \.channel) {
            channels.withLock { $0[name] }?.deliver(.presence(changes))
        }
    }

    func carryOut(_ consequence: HubChannel.Consequence, _ channel: HubChannel) {
        switch consequence {
        case .nothing: break
        case .countInvalid:
            invalidMessages.increment()
            logger.debug("a message is not JSON and was left out", metadata: ["channel": "\(channel.name)"])
        case .heal: later { [self] in await heal(channel) }
        }
    }

    // MARK: Epochs

    private func forgetEpochs() { epochs.withLock { $0 = [:] } }

    /// The present life of the stream behind a namespace's channels; nil if it has none or the bus is away.
    package func epoch(of namespace: String) async -> String? {
        if let known = epochs.withLock({ $0[namespace] }) { return known }
        guard let epoch = try? await bus.streamState(subjects.historyStream(namespace: namespace)).epoch else {
            return nil
        }
        epochs.withLock { $0[namespace] = epoch }
        return epoch
    }

    /// Somebody has looked at the stream behind a namespace's channels; if it was made anew, those who are on them are
    /// told. Called every few seconds for each namespace.
    package func observed(epoch: String, of namespace: String) {
        epochs.withLock { $0[namespace] = epoch }
        let stale = channels.withLock { channels in
            channels.values.filter { $0.name.namespace == namespace && $0.history != nil && $0.isOutdated(epoch) }
        }
        for channel in stale where channel.beginHealing() { later { [self] in await heal(channel) } }
    }
}
