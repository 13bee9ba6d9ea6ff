internal import EventBus
internal import Events
internal import Logging
internal import Synchronization

/// Subscribing to channels, and finding out where they begin.
extension Hub {
    func start(_ channel: HubChannel, isExact: Bool) {
        do throws(BusError) {
            try listen(channel)
        } catch {
            return startFailed([channel], error)
        }
        let namespace = channel.name.namespace
        let starts = starts.withLock { all in
            if let starts = all[namespace] { return starts }
            let starts = ChannelStarts()
            all[namespace] = starts
            return starts
        }
        guard starts.add(ChannelStarts.Start(channel: channel, isExact: isExact)) else { return }
        later { [self] in
            while let round = starts.nextRound() {
                await begin(round, of: namespace)
                if starts.isAnyWaiting { try? await Task.sleep(for: ChannelStarts.pause) }
            }
        }
    }

    /// Brings channels of one namespace to their position.
    private func begin(_ round: [ChannelStarts.Start], of namespace: String) async {
        do {
            // The server knows their subscriptions: what is read after that and what comes by them have no gap in between.
            try await feed.flush(timeout: .seconds(5))
            guard namespaces[namespace]?.history != nil else {
                return begin(round.map(\.channel), at: StreamPosition(epoch: "", offset: 0))
            }
            let end = try await bus.streamState(subjects.historyStream(namespace: namespace))
            let position = StreamPosition(epoch: end.epoch, offset: end.lastSequence)
            begin(round.lazy.filter { !$0.isExact }.map(\.channel), at: position)
            for start in round where start.isExact {
                later { [self] in await begin(start.channel, atLastMessageBefore: position) }
            }
        } catch {
            startFailed(round.map(\.channel), error)
        }
    }

    private func begin(_ channels: some Sequence<HubChannel>, at position: StreamPosition) {
        for channel in channels {
            carryOut(channel.started(epoch: position.epoch, last: position.offset, now: clock()), channel)
        }
    }

    /// - Parameter end: of the stream, as of a moment before this call. What is stored since then is newer, and comes by the
    ///   subscription.
    private func begin(_ channel: HubChannel, atLastMessageBefore end: StreamPosition) async {
        do {
            let last = try await bus.lastMessage(
                in: subjects.historyStream(namespace: channel.name.namespace), subject: subjects.channel(channel.name))
            begin(
                CollectionOfOne(channel),
                at: StreamPosition(epoch: end.epoch, offset: last?.sequence ?? end.offset))
        } catch {
            startFailed([channel], error)
        }
    }

    private func startFailed(_ channels: [HubChannel], _ error: any Error) {
        for channel in channels {
            logger.warning(
                "a channel could not be subscribed", metadata: ["channel": "\(channel.name)", "error": "\(error)"])
            channel.startFailed(error)
        }
    }

    /// Subscribes to the channel's messages, in place of a subscription that it may have.
    private func listen(_ channel: HubChannel) throws(BusError) {
        let subject = channel.history == nil ? subjects.channel(channel.name) : subjects.live(channel.name)
        channel.own(try feed.subscribe(subject, channel))
    }

    /// The same, and returns when the server knows.
    func subscribe(_ channel: HubChannel) async throws {
        try listen(channel)
        try await feed.flush(timeout: .seconds(5))
    }
}
