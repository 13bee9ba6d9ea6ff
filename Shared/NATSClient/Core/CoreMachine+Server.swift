// What comes from the socket and from the server.

extension CoreMachine {
    // MARK: The socket

    mutating func opened(now: Instant) -> [CoreAction] {
        guard phase == .connecting else { return [] }
        phase = .greeting
        phaseDeadline = now + options.connectTimeout
        return []
    }

    /// There is no socket, or there is none any more.
    mutating func failed(_ reason: NATSError, now: Instant) -> [CoreAction] { drop(reason, now: now) }

    /// Something came, whatever it is.
    mutating func heard() { isHeard = true }

    /// What cannot be written is more than may wait.
    mutating func isStuck(now: Instant) -> [CoreAction] {
        guard commands.bytes.count > CoreMachine.maximumCommands else { return [] }
        return drop(NATSError(.timeout, "\(server?.address ?? "the server") takes nothing"), now: now)
    }

    // MARK: The server's operations

    mutating func informed(_ json: some Collection<UInt8>, now: Instant) -> [CoreAction] {
        guard let server else { return [] }
        guard let information = ServerInformation(json: json) else {
            return drop(NATSError(.failed, "\(server.address) is no NATS server"), now: now)
        }
        servers.learn(information.addresses, from: server)
        maximumPayload = information.maximumPayload
        guard phase == .greeting else {
            return information.isLeaving && phase == .connected ? [.emit(.lameDuck)] : []
        }
        guard !information.requiresTLS else { return giveUp(.serverRequiresTLS) }
        return [.introduce(server, nonce: information.nonce)]
    }

    /// We can say who we are.
    mutating func introduce(_ introduction: CoreIntroduction, now: Instant) {
        guard phase == .greeting else { return }
        phase = .introducing
        phaseDeadline = now + options.connectTimeout
        commands.connect(introduction)
        ping(.introduction)
    }

    mutating func pinged() { commands.pong() }

    mutating func ponged(now: Instant) -> [CoreAction] {
        guard !pongs.isEmpty else { return [] }
        let pong = pongs.removeFirst()
        subscriptions.release(pong.retired)
        let answers: [CoreAction] = pong.flushes.isEmpty ? [] : [.answer(pong.flushes, nil)]
        switch pong.purpose {
        case .introduction:
            phase = .subscribing
            phaseDeadline = nil
            pingDeadline = now + options.pingInterval
            subscribingFrom = 0
            return []
        case .subscriptions:
            phase = .connected
            round = 0
            shutOut = nil
            isFirstAttempt = false
            return [.emit(.connected)] + answers
        case .other: return answers
        }
    }

    mutating func refused(_ text: some Sequence<UInt8>, now: Instant) -> [CoreAction] {
        switch CoreRefusal(text) {
        case .ofCommand(let error): [.emit(.refused(error))]
        case .ofConnection(let error): drop(error, now: now)
        case .requiresTLS: giveUp(.serverRequiresTLS)
        }
    }

    private mutating func giveUp(_ obstacle: CoreObstacle) -> [CoreAction] {
        _ = forgetConnection()
        phase = .paused
        phaseDeadline = nil
        return [.disconnect, .giveUp(obstacle)]
    }
}
