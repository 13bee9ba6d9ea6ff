internal import EventBus
internal import Events
internal import GatewayWire
internal import Identity
internal import Logging

/// Carries out what sessions decide.
extension Shard {
    func perform(_ actions: [SessionAction], _ connection: Connection) {
        for action in actions { perform(action, connection) }
    }

    private func perform(_ action: SessionAction, _ connection: Connection) {
        switch action {
        case .send(let message): send(message, to: connection)
        case .limited(let limit): environment.metrics.limited(limit)
        case .close(let disconnect): close(connection, disconnect)
        case .authenticated: count(connection)
        case .expire(let time): endsAt(time, connection)
        case .look(let channel, let time): look(at: channel, time, connection)
        case .renew(let channel): renew(connection, channel)
        case .join(let channel, let position, let asksHook, let data):
            join(connection, channel, position, asksHook: asksHook, data: data)
        case .follow(let channel): follow(connection, channel)
        case .leave(let channel, let reason):
            if let subscription = connection.subscriptions[channel] { leave(subscription, reason) }
        case .opened(let channels): opened(connection, channels)
        case .publish(let channel, let command, let asksHook, let reference):
            publish(connection, channel, command, asksHook: asksHook, reference)
        case .call(let method, let parameters, let reference):
            let trace = connection.trace
            answer(connection, reference) { backend, caller throws(ClientFailure) in
                .callResult(payload: try await backend.call(method, parameters, caller, trace: trace), reference)
            }
        case .presence(let channel, let reference):
            let members = environment.presence.members(of: channel)
            perform(connection.session.completed(.presence(members, reference)), connection)
        case .presenceStatistics(let channel, let reference):
            let statistics = environment.presence.statistics(of: channel)
            perform(
                connection.session.completed(
                    .presenceStatistics(clients: statistics.clients, users: statistics.users, reference)), connection)
        case .history(let command, let channel, let reference): history(connection, command, channel, reference)
        }
    }

    func send(_ message: ServerMessage, to connection: Connection) {
        if case .failure(let failure, _) = message { environment.metrics.failed(failure) }
        guard !connection.isClosed else { return }
        for frame in connection.codec.encodeFrames(message) {
            // One answer may go beyond the bound, since it may be as large as a history.
            guard hasRoom(connection) else { return perform(connection.session.close(.slow), connection) }
            if frame.count > environment.rules.limits.outboundBytes / 2 {
                connection.change { $0.allowance = max($0.allowance, frame.count) }
            }
            environment.metrics.sent(message.kind, bytes: frame.count)
            connection.transport.write(frame)
            markDirty(connection)
        }
    }

    private func close(_ connection: Connection, _ disconnect: Disconnect) {
        guard !connection.isClosed else { return }
        connection.isClosed = true
        environment.metrics.closed(by: disconnect)
        if let limit = GatewayLimit(disconnect) { environment.metrics.limited(limit) }
        if disconnect == .slow { environment.metrics.dropped(.disconnect) }
        connection.transport.flush()
        connection.transport.close(connection.protocolID.closeCode(disconnect))
        // What belongs to it ends now: a dead peer may never answer the goodbye. One that is told not to come back is gone.
        release(connection, lingers: disconnect.invitesBack)
        environment.logger.debug(
            "closing a connection",
            metadata: connection.logMetadata.merging(
                ["close.code": "\(disconnect.code)", "close.reason": "\(disconnect.reason)"]) { $1 })
    }

    private func count(_ connection: Connection) {
        environment.logger.debug("a client has connected", metadata: connection.logMetadata)
        guard let user = connection.session.identity.user, !connection.isCounted else { return }
        guard environment.users.connect(user) else {
            return perform(connection.session.close(.connectionLimit), connection)
        }
        connection.isCounted = true
    }

    // MARK: What waits for the bus

    /// Runs `work` in a task that belongs to the connection; `finish` runs back here unless the connection has gone.
    /// - Returns: the task's number among the connection's.
    @discardableResult
    func spawn<Value: Sendable>(
        _ connection: Connection, _ work: @escaping @Sendable () async -> Value,
        finish: @escaping @Sendable (isolated Shard, Connection, Value) -> Void
    ) -> UInt64 {
        let number = makeNumber()
        let id = connection.id
        connection.change { extras in
            extras.tasks[number] = Task {
                let value = await work()
                self.finished(number, id, value, finish)
            }
        }
        return number
    }

    private func finished<Value: Sendable>(
        _ number: UInt64, _ id: ConnectionID, _ value: Value,
        _ finish: @Sendable (isolated Shard, Connection, Value) -> Void
    ) {
        guard let connection = connections[id] else { return }
        connection.change { $0.tasks[number] = nil }
        finish(self, connection, value)
        flushDirty()
    }

    /// Asks a service and sends what comes of it.
    @discardableResult
    private func answer(
        _ connection: Connection, _ reference: CommandReference,
        _ work: @escaping @Sendable (ChannelBackend, Caller) async throws(ClientFailure) -> ServerMessage,
        finish: @escaping @Sendable (Connection) -> Void = { _ in }
    ) -> UInt64 {
        let backend = environment.backend
        let caller = connection.session.caller
        return spawn(connection) {
            do throws(ClientFailure) {
                return try await work(backend, caller)
            } catch {
                return .failure(error, reference)
            }
        } finish: { shard, connection, message in
            finish(connection)
            shard.perform(connection.session.completed(message), connection)
        }
    }

    private func publish(
        _ connection: Connection, _ channel: ChannelName, _ command: PublishCommand, asksHook: Bool,
        _ reference: CommandReference
    ) {
        // One after the other on each channel, so that a client's messages keep their order; a service that is slow to
        // decide about one channel does not delay what goes to others.
        let previous = connection.extras?.publishing[channel]?.last
        let publisher = connection.session.info
        let trace = connection.trace
        let number = answer(connection, reference) { backend, caller throws(ClientFailure) in
            await previous?.value
            var grant = PublishGrant(payload: command.payload, event: command.event)
            if asksHook { grant = try await backend.mayPublish(command, on: channel, caller, trace: trace) }
            if grant.isPublished {
                try await backend.publish(
                    grant.payload, event: grant.event, messageID: command.messageID, on: channel, by: publisher, caller,
                    excludesPublisher: command.excludesSender, trace: trace)
            }
            return .published(reference, reply: grant.reply)
        } finish: { connection in
            connection.change { extras in
                extras.publishing[channel]?.count -= 1
                if extras.publishing[channel]?.count == 0 { extras.publishing[channel] = nil }
            }
        }
        connection.change { extras in
            guard let task = extras.tasks[number] else { return }
            extras.publishing[channel] = (task, (extras.publishing[channel]?.count ?? 0) + 1)
        }
    }

    private func history(
        _ connection: Connection, _ command: HistoryCommand, _ name: ChannelName, _ reference: CommandReference
    ) {
        let hub = environment.hub
        let clock = environment.clock
        spawn(connection) { () -> ServerMessage in
            do {
                return HistoryPage(command).message(try await hub.history(of: name, clock: clock), reference)
            } catch {
                return .failure(.unavailable("the history cannot be read now"), reference)
            }
        } finish: { shard, connection, message in
            shard.perform(connection.session.completed(message), connection)
        }
    }
}

extension Session {
    /// Who a request made for this connection comes from.
    var caller: Caller { Caller(user: identity.user, roles: identity.roles, client: client.description) }
}
