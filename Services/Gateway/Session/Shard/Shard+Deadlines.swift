internal import Events
internal import GatewayWire

/// What time brings about.
extension Shard {
    /// Called about once a second.
    package func tick() {
        let now = environment.clock.moment()
        environment.users.sweep(now: now)
        for id in deadlines.advance(to: now) {
            guard let connection = connections[id], !connection.isClosed, connection.deadlines.came(now: now) else {
                continue
            }
            reached(connection, now)
        }
        flushDirty()
        giveBack()
    }

    /// Has the wheel come back to the connection when the next thing is due for it.
    func schedule(_ connection: Connection) {
        let look = connection.extras?.looks.values.min() ?? .never
        if let second = connection.deadlines.schedule(look) { deadlines.schedule(connection.id, at: second) }
    }

    private func reached(_ connection: Connection, _ now: Moment) {
        if connection.deadlines.end.isDue(now) { end(connection, now) }
        for (channel, second) in connection.extras?.looks ?? [:] where second.isDue(now) {
            connection.change { $0.looks[channel] = nil }
            perform(
                connection.session.subscriptionDeadlineReached(channel, time: environment.clock.time()), connection)
        }
        if connection.deadlines.beat.isDue(now) { beat(connection, now) }
        if !connection.isClosed { schedule(connection) }
    }

    /// The token ends, or is no longer waited for.
    func endsAt(_ time: Timestamp, _ connection: Connection) {
        // Whoever comes earlier finds that it is not time yet, and that there is another end.
        connection.deadlines.end = min(connection.deadlines.end, second(of: time))
        schedule(connection)
    }

    func look(at channel: ChannelName, _ time: Timestamp, _ connection: Connection) {
        connection.change { $0.looks[channel] = second(of: time) }
        schedule(connection)
    }

    private func second(of time: Timestamp) -> DueSecond {
        // A token may end at any time that a number can say; beyond ten years it need not be remembered.
        let remaining = min(max(.zero, environment.clock.time().duration(to: time)), .seconds(315_360_000))
        return DueSecond(environment.clock.moment().advanced(by: remaining))
    }

    private func end(_ connection: Connection, _ now: Moment) {
        connection.deadlines.end = .never
        guard connection.session.isAuthenticated else {
            return perform(connection.session.close(.stale), connection)
        }
        perform(connection.session.deadlineReached(time: environment.clock.time()), connection)
        // A new token has moved the end.
        if let end = connection.session.connectionEnd, !connection.isClosed {
            connection.deadlines.end = max(second(of: end), DueSecond(now.advanced(by: .seconds(1))))
        }
    }

    // MARK: Beats

    /// Somewhere within the interval, so that those who came in the same second are not pinged in the same second ever
    /// after.
    func firstBeat() -> Duration {
        var random = EnvironmentGenerator(source: environment.random)
        return .milliseconds(Int64.random(in: 1...max(1, environment.rules.pingMilliseconds), using: &random))
    }

    private func beat(_ connection: Connection, _ now: Moment) {
        guard !connection.isClosed else { return }
        connection.deadlines.beat = DueSecond(now.advanced(by: environment.rules.pingInterval))
        if let idle = environment.rules.limits.idleTimeout, connection.subscriptions.isEmpty,
            connection.lastCommandAt.advanced(by: idle) <= now
        {
            return perform(connection.session.close(.idle), connection)
        }
        // Nothing comes from the client of an event stream or a poll; the socket tells when it is gone.
        if connection.protocolID != .serverSentEvents, connection.protocolID != .longPolling {
            guard connection.isHeard else {
                return perform(connection.session.close(.noPong), connection)
            }
            connection.isHeard = false
        }
        // One that was not pinged owes no answer.
        guard connection.session.isOpen else { return connection.isHeard = true }
        if let ping = connection.codec.encode(.ping) {
            environment.metrics.sent(.ping, bytes: ping.count)
            connection.transport.write(ping)
            markDirty(connection)
        } else {
            environment.metrics.sent(.ping, bytes: 0)
            connection.transport.ping()
        }
    }
}
