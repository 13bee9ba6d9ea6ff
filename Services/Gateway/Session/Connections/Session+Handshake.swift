internal import Events
internal import GatewayWire
internal import Identity

/// What clients may do whose protocol has no command to connect: they are known from their handshake, may say later who they
/// are, and go on before their joins are answered.
extension Session {
    /// The client sends a token by itself.
    mutating func identify(_ token: String, _ reference: CommandReference, time: Timestamp) -> [SessionAction] {
        do throws(ClientFailure) {
            return try adopt(token, time: time) + [.send(.refreshed(expiry(time), reference))]
        } catch {
            return fail(reference, error)
        }
    }

    /// Takes a token that came later than the connection: for an anonymous one it says who it is.
    mutating func adopt(_ token: String, time: Timestamp) throws(ClientFailure) -> [SessionAction] {
        let adopted: Identity
        do throws(IdentityError) {
            adopted = try rules.verify(token, time)
        } catch {
            throw error.isExpired ? .tokenExpired : .unauthorized
        }
        // A connection stays who it is: another user's token would keep this one's subscriptions.
        guard identity.user == nil || adopted.user == identity.user else { throw .permissionDenied }
        var actions: [SessionAction] = identity.user == nil && adopted.user != nil ? [.authenticated] : []
        identity = adopted
        if let end = connectionEnd { actions.append(.expire(at: end)) }
        return actions
    }

    /// Keeps what was published on a channel whose join is under way until it is there; the order holds.
    mutating func publishEarly(
        _ channel: ChannelName, _ command: PublishCommand, _ reference: CommandReference
    ) -> [SessionAction] {
        guard let entry = entries[channel], entry.early.count < rules.limits.commandsInFlight else {
            return fail(reference, .tooManyRequests(retryAfterSeconds: 1))
        }
        entries.change(channel) { $0.early.append(EarlyPublication(command: command, reference: reference)) }
        return []
    }

    /// The join that it waited for did not come to be.
    func refuseEarly(_ entry: Entry) -> [SessionAction] {
        entry.early.flatMap { fail($0.reference, .permissionDenied) }
    }
}
