internal import EventBus
internal import Events
package import GatewayWire
internal import Logging
internal import Metrics
internal import Synchronization

/// One event loop's connections and the channels that they are on.
///
/// An actor whose executor is that loop, so that a frame that comes in, a message that goes out and a deadline are plain
/// calls on one thread: no lock, no hop and no task per connection. What must wait for the bus runs in tasks that belong
/// to a connection and end with it.
package actor Shard {
    package nonisolated let unownedExecutor: UnownedSerialExecutor

    let environment: ShardEnvironment
    var connections: [ConnectionID: Connection] = [:]
    var channels: [ChannelName: ShardChannel] = [:]
    var deadlines: TimingWheel<ConnectionID>
    @exclusivity(unchecked) private var dirty: [Connection] = []
    private var nextNumber: UInt64 = 0
    private var isDraining = false
    private var drain: DrainSchedule?
    private nonisolated let inbox: Mutex<ShardInbox>
    /// Makes the executor call ``drainInbox()`` soon.
    private nonisolated let wake: @Sendable (Shard) -> Void

    /// - Parameters:
    ///   - executor: of an event loop that outlives the shard.
    ///   - wake: called from any thread, at most once until the inbox was drained.
    package init(
        executor: UnownedSerialExecutor, environment: ShardEnvironment, inbox: ShardInbox = ShardInbox(),
        wake: @escaping @Sendable (Shard) -> Void
    ) {
        unownedExecutor = executor
        self.inbox = Mutex(inbox)
        self.environment = environment
        self.wake = wake
        deadlines = TimingWheel(now: environment.clock.moment())
    }

    func makeNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    package var connectionCount: Int { connections.count }

    // MARK: Messages from the hub

    /// Takes what the hub has for one of its channels. Called from any thread.
    nonisolated func receive(_ delivery: ChannelDelivery, for channel: ShardChannel) {
        switch inbox.withLock({ $0.append(delivery, for: channel) }) {
        case .wake: wake(self)
        case .queued: break
        case .dropped: environment.metrics.overflowed()
        }
    }

    package func drainInbox() {
        let (items, outrun) = inbox.withLock { $0.take() }
        // One look at the clock for the whole batch.
        var oldest: Timestamp?
        var index = 0
        if items.count > 1 { for before in -LookAhead.distance..<0 { LookAhead.messages(items, from: before) } }
        while index < items.count {
            defer { index += 1 }
            LookAhead.messages(items, from: index)
            let channel = items[index].channel
            switch items[index].delivery {
            case .message(let message):
                oldest = oldest ?? message.storedAt
                let others = Shard.burst(message, channel, items, &index)
                fanOut(message, others, channel)
            case .interrupted(let generation): interrupt(channel, generation)
            case .presence(let changes): tell(changes, channel)
            case .started: started(channel)
            case .startFailed: startFailed(channel)
            }
        }
        for channel in outrun { outran(channel) }
        flushDirty()
        if let oldest {
            let waited = oldest.duration(to: environment.clock.time())
            environment.metrics.delivered(nanoseconds: Int64(waited / .nanoseconds(1)))
        }
    }

    /// Those that follow the one at `index` on the same channel, so that they go out together.
    /// - Parameter index: moves to the last of them.
    private static func burst(
        _ first: ChannelMessage, _ channel: ShardChannel, _ items: [ShardInbox.Item], _ index: inout Int
    ) -> [ChannelMessage] {
        var others: [ChannelMessage] = []
        var bytes = first.publication.payload.count
        while bytes < Burst.maximumBytes, index + 1 < items.count, items[index + 1].channel === channel,
            case .message(let message) = items[index + 1].delivery
        {
            others.append(message)
            bytes += message.publication.payload.count
            index += 1
        }
        return others
    }

    // MARK: Writing

    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
    }

    /// All that waits for a connection leaves in one write.
    func flushDirty() {
        guard !dirty.isEmpty else { return }
        Shard.flush(dirty)
        dirty.removeAll(keepingCapacity: true)
    }

    private static func flush(_ connections: [Connection]) {
        for index in connections.indices {
            LookAhead.connections(connections, from: index)
            let connection = connections[index]
            connection.isDirty = false
            if !connection.isClosed { connection.transport.flush() }
        }
    }

    /// Frees what a crowd that has gone had needed.
    func giveBack() {
        connections.giveBackRoom()
        channels.giveBackRoom()
        if dirty.isEmpty, dirty.capacity > connections.count { dirty = [] }
    }

    // MARK: Connections

    /// A client has connected.
    package func open(
        _ protocolID: WireProtocolID, codec: any WireProtocol, manner: SessionManner, transport: any Transport,
        trace: TraceContext? = nil
    ) -> ConnectionID {
        let id = ConnectionID(number: makeNumber())
        let now = environment.clock.moment()
        let session = Session(
            client: environment.makeClientID(), sessionID: environment.makeClientID(), manner: manner,
            rules: environment.rules)
        let connection = Connection(
            id: id, protocolID: protocolID, codec: codec, session: session, transport: transport,
            deadlines: ConnectionDeadlines(
                beat: DueSecond(now.advanced(by: firstBeat())),
                end: DueSecond(now.advanced(by: environment.rules.limits.connectTimeout))),
            now: now)
        if let trace { connection.change { $0.trace = trace } }
        connections[id] = connection
        environment.metrics.opened(protocolID)
        schedule(connection)
        if isDraining { perform([.close(.shutdown)], connection) }
        return id
    }

    /// The client opened an address that says everything it wants.
    package func openAddress(_ id: ConnectionID, token: String?, channels: [SubscribeCommand], cursor: ChannelCursor?) {
        guard let connection = connections[id] else { return }
        if let cursor { connection.change { $0.cursor = cursor } }
        perform(
            connection.session.open(token: token, channels: channels, time: environment.clock.time()), connection)
        flushDirty()
    }

    /// A frame has come.
    package func receive(_ frame: [UInt8], from id: ConnectionID) {
        guard let connection = connections[id], !connection.isClosed else { return }
        connection.isHeard = true
        environment.metrics.received(bytes: frame.count)
        let commands: [ClientCommand]
        do throws(WireError) {
            commands = try connection.codec.decode(frame)
        } catch {
            environment.metrics.malformedFrame()
            perform(connection.session.close(.badRequest), connection)
            return flushDirty()
        }
        let now = environment.clock.moment()
        let time = environment.clock.time()
        for command in commands where !connection.isClosed {
            environment.metrics.received(command.kind)
            if command != .pong {
                connection.lastCommandAt = now
                if let user = connection.countedUser, let seconds = environment.users.take(user, now: now) {
                    perform(
                        connection.session.refuse(
                            command, .userMessagesPerMinute, retryAfterSeconds: seconds, now: now), connection)
                    continue
                }
            }
            if case .connect(let connect, _) = command, let trace = connect.trace {
                connection.change { $0.trace = trace }
            }
            if case .send = command { environment.metrics.unheardMessage() }
            perform(connection.session.receive(command, time: time, now: now), connection)
        }
        flushDirty()
    }

    /// The transport's own answer to its ping, or any other sign of life.
    package func heard(_ id: ConnectionID) { connections[id]?.isHeard = true }

    /// The transport can take more.
    package func becameWritable(_ id: ConnectionID) {
        guard let connection = connections[id], !connection.isClosed else { return }
        if connection.allowance > 0 { connection.change { $0.allowance = 0 } }
        releaseBacklogs(connection)
        flushDirty()
    }

    /// What the client did is against the transport's own rules.
    package func violated(_ id: ConnectionID, _ disconnect: Disconnect) {
        guard let connection = connections[id] else { return }
        environment.metrics.malformedFrame()
        perform(connection.session.close(disconnect), connection)
        flushDirty()
    }

    /// The transport is closed; nothing of the connection remains.
    package func closed(_ id: ConnectionID) {
        guard let connection = connections.removeValue(forKey: id) else { return }
        connection.isClosed = true
        for task in connection.extras?.tasks.values.map({ $0 }) ?? [] { task.cancel() }
        connection.extras?.tasks = [:]
        release(connection, lingers: true)
        if let user = connection.countedUser { environment.users.disconnect(user) }
        environment.metrics.closed(connection.protocolID)
        environment.logger.debug("a connection has ended", metadata: connection.logMetadata)
    }

    /// Ends all subscriptions of a connection that ends.
    func release(_ connection: Connection, lingers: Bool) {
        for subscription in connection.subscriptions.elements {
            leave(subscription, .disconnect, lingers: lingers)
        }
    }

    // MARK: Going away

    /// Begins to tell every client to come back later or elsewhere, evenly over `duration`; those that connect from now on
    /// are told at once. ``drainStep()`` does it.
    package func beginDrain(over duration: Duration) {
        isDraining = true
        var random = EnvironmentGenerator(source: environment.random)
        drain = DrainSchedule(
            Array(connections.keys), over: duration, now: environment.clock.moment(), using: &random)
    }

    /// Tells those whose turn has come.
    /// - Returns: whether all were told.
    package func drainStep() -> Bool {
        for id in drain?.due(now: environment.clock.moment()) ?? [] {
            guard let connection = connections[id] else { continue }
            perform(connection.session.close(.shutdown), connection)
        }
        flushDirty()
        return drain?.isDone ?? true
    }
}
