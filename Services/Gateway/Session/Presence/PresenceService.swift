package import EventBus
package import Events
package import GatewayWire
package import Logging
internal import Synchronization

/// Keeps who is present, announces this gateway's changes to the others, takes in theirs, and gives what subscribers are
/// told to `onChange`.
///
/// Thread-safe. What comes is in the table at once; announcing and telling happen in ``step(now:)``, all of a tick at
/// once, so that a crowd costs a few messages.
package final class PresenceService: Sendable {
    private struct State {
        var table: PresenceTable
        var shown: ShownPresence
        /// What subscribers are still to be told.
        var untold: [PresenceChange] = []
        /// Gateways to ask for their state.
        var requests: Set<String> = []
        var mustTellState = false
        var heartbeatDue: Moment?
        /// Ends the rest of ``PresenceService/run()`` while it takes one.
        var rest: OneShot<Void>?

        /// When there is something to do: `now` if there is already.
        func due(_ now: Moment) -> Moment {
            guard let heartbeatDue, untold.isEmpty, requests.isEmpty, !mustTellState, !table.hasPending else {
                return now
            }
            return [heartbeatDue, shown.nextDeadline, table.firstExpiry].lazy.compactMap { $0 }.min() ?? now
        }

        mutating func apply(_ changes: [MembershipChange], _ now: Moment) {
            for change in changes {
                if let told = shown.apply(change, now: now) { untold.append(told) }
            }
        }
    }

    private let node: String
    private let bus: any EventBus
    private let subject: String
    private let state: Mutex<State>
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let onChange: @Sendable ([PresenceChange]) -> Void
    private let metrics = PresenceMetrics()

    /// How often changes are announced and told.
    package static let tick = Duration.milliseconds(50)

    /// - Parameters:
    ///   - lease: how long another gateway may be silent before its clients are taken for gone; the same on all of them.
    ///   - linger: how long a client whose connection ended stays listed.
    ///   - onChange: gets what subscribers are told, in order; it must not block.
    package init(
        node: String, bus: any EventBus, subjects: Subjects, lease: Duration = PresenceTable.standardLease,
        linger: Duration = ShownPresence.standardLinger, logger: Logger, clock: @escaping @Sendable () -> Moment,
        onChange: @escaping @Sendable ([PresenceChange]) -> Void
    ) {
        self.node = node
        self.bus = bus
        subject = subjects.control("presence")
        state = Mutex(State(table: PresenceTable(node: node, lease: lease), shown: ShownPresence(linger: linger)))
        self.logger = logger
        self.clock = clock
        self.onChange = onChange
    }

    // MARK: This gateway's clients

    package func join(_ channel: ChannelName, _ info: ClientInfo) {
        let now = clock()
        change { state in
            guard let change = state.table.join(channel, info) else { return false }
            state.apply([change], now)
            return true
        }
    }

    /// - Parameter lingers: whether the client may come back in a moment, as one whose connection broke; it stays listed
    ///   for the linger time then.
    package func leave(_ channel: ChannelName, client: String, lingers: Bool = false) {
        let now = clock()
        change { state in
            guard let change = state.table.leave(channel, client: client, lingers ? .dropped : .left) else {
                return false
            }
            state.apply([change], now)
            return true
        }
    }

    /// - Parameter body: returns whether there is something to do now, or earlier than before.
    private func change(_ body: (inout State) -> Bool) {
        let rest = state.withLock { body(&$0) ? $0.rest.take() : nil }
        rest?.fulfil(())
    }

    // MARK: Looking

    /// Those present, by the ids that the channel knows them by (see ``PresenceChange/info``).
    package func members(of channel: ChannelName) -> [ClientInfo] {
        state.withLock { $0.shown.members(of: channel) }
    }

    package func statistics(of channel: ChannelName) -> PresenceStatistics {
        state.withLock { $0.shown.statistics(of: channel) }
    }

    // MARK: Life

    /// Listens to the others and does what is due until the task is cancelled, then says goodbye.
    package func run() async throws {
        let subscription = try listen()
        defer { subscription.cancel() }
        while !Task.isCancelled {
            // What comes meanwhile goes together, and what is due but cannot be done, as long as the bus is away, is not
            // looked at without a pause.
            let now = clock()
            if step(now: now) || due(now: now) <= now { try? await Task.sleep(for: PresenceService.tick) }
            await rest()
        }
        step(now: clock())
        publish(.goodbye(node: node))
    }

    /// Returns when there is something to do, or the task is cancelled: a gateway where nobody comes and goes is not to be
    /// woken for every tick.
    private func rest() async {
        let rest = OneShot<Void>()
        let duration = state.withLock { state -> Duration? in
            let now = clock()
            let due = state.due(now)
            guard due > now else { return nil }
            state.rest = rest
            return now.duration(to: due)
        }
        guard let duration else { return }
        await withTaskCancellationHandler {
            let alarm = Task {
                try? await Task.sleep(for: duration)
                rest.fulfil(())
            }
            await rest.value()
            alarm.cancel()
        } onCancel: {
            rest.fulfil(())
        }
    }

    /// When ``step(now:)`` has something to do, if nothing happens before; `now` if it has already.
    package func due(now: Moment) -> Moment { state.withLock { $0.due(now) } }

    /// Begins to take in what the others announce, and asks them who is there.
    package func listen() throws -> any BusSubscription {
        let subscription = try bus.subscribe(subject) { [self] message in
            guard let announcement = PresenceCodec.decode(message.payload) else {
                return logger.debug("an announcement of presence cannot be read")
            }
            receive(announcement, now: clock())
        }
        publish(.request(node: node, of: nil))
        return subscription
    }

    private func receive(_ announcement: PresenceAnnouncement, now: Moment) {
        change { state in
            let effect = state.table.receive(announcement, now: now)
            state.apply(effect.changes, now)
            if let other = effect.request { state.requests.insert(other) }
            if effect.mustTellState { state.mustTellState = true }
            return effect != PresenceTable.Effect()
        }
    }

    /// Announces and tells everything that is due. Called by one caller at a time.
    /// - Returns: whether somebody was told of a change, so that the next step is to be a ``tick`` away.
    @discardableResult
    package func step(now: Moment) -> Bool {
        let (announcements, changes) = state.withLock { state -> ([PresenceAnnouncement], [PresenceChange]) in
            let lost = state.table.others
            state.apply(state.table.expire(now: now), now)
            metrics.expired(lost - state.table.others)
            state.untold += state.shown.advance(to: now)
            let lingers = state.shown.takeLingers()
            metrics.lingered(returned: lingers.returned, gone: lingers.gone)
            metrics.known(state.table.others)
            defer { state.untold = [] }
            return (PresenceService.announcements(&state, node, now), state.untold)
        }
        // In this order, and outside of the lock: encoding a large state takes a while.
        for announcement in announcements { publish(announcement) }
        if !changes.isEmpty {
            metrics.told(changes)
            onChange(changes)
        }
        return !changes.isEmpty || announcements.contains { !$0.isHeartbeat }
    }

    private static func announcements(
        _ state: inout State, _ node: String, _ now: Moment
    ) -> [PresenceAnnouncement] {
        var announcements: [PresenceAnnouncement] = []
        if let pending = state.table.takePending() { announcements.append(pending) }
        if state.mustTellState { announcements.append(state.table.state) }
        for other in state.requests.sorted() { announcements.append(.request(node: node, of: other)) }
        if now >= state.heartbeatDue ?? now {
            announcements.append(state.table.heartbeat)
            state.heartbeatDue = now.next(multipleOf: state.table.heartbeatInterval)
        }
        state.mustTellState = false
        state.requests = []
        return announcements
    }

    /// A lost announcement shows by its number; the next heartbeat mends it.
    private func publish(_ announcement: PresenceAnnouncement) {
        for payload in PresenceCodec.encode(announcement) {
            do throws(BusError) {
                try bus.publish(BusMessage(subject: subject, payload: payload))
                metrics.announced(announcement)
            } catch {
                metrics.notAnnounced()
                logger.debug("presence was not announced", metadata: ["error": "\(error)"])
            }
        }
    }
}
