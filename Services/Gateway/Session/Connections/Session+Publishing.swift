internal import Events
package import GatewayWire
internal import Identity

/// Publishing, and asking about channels and services.
extension Session {
    mutating func publish(
        _ channel: ChannelName, _ command: PublishCommand, _ reference: CommandReference
    ) -> [SessionAction] {
        if let id = command.messageID, !MessageKey.isValid(id) {
            return fail(reference, .badRequest("a message's key has 1 to \(MessageKey.maximumLength) bytes"))
        }
        guard EventName.isValid(command.event) else {
            return fail(reference, .badRequest("an event's name has 1 to \(EventName.maximumLength) bytes of text"))
        }
        guard let namespace = rules.policy.namespaces[channel.namespace] else {
            return fail(reference, .unknownChannel)
        }
        if manner == .handshake, entries[channel]?.isLive == false { return publishEarly(channel, command, reference) }
        let isSubscribed = entries[channel]?.isLive ?? false
        switch rules.policy.publish(channel, namespace, identity, isSubscribed: isSubscribed) {
        case .allow:
            return begin(reference) { .publish(channel, command, asksHook: false, reference) }
        case .askHook:
            return begin(reference) { .publish(channel, command, asksHook: true, reference) }
        case .deny, .authenticationRequired: return fail(reference, .permissionDenied)
        }
    }

    mutating func look(
        _ operation: Capability.Operation, _ label: String, _ reference: CommandReference,
        _ action: (ChannelName) -> SessionAction
    ) -> [SessionAction] {
        guard let channel = try? ChannelName(label), let namespace = rules.policy.namespaces[channel.namespace] else {
            return fail(reference, .unknownChannel)
        }
        let isSubscribed = entries[channel]?.isLive ?? false
        guard rules.policy.look(operation, channel, identity, isSubscribed: isSubscribed) == .allow else {
            return fail(reference, .permissionDenied)
        }
        let isOffered = operation == .presence ? namespace.presence : namespace.history != nil
        guard isOffered else { return fail(reference, .notAvailable) }
        return begin(reference) { action(channel) }
    }

    mutating func begin(_ reference: CommandReference, _ action: () -> SessionAction) -> [SessionAction] {
        guard commandsInFlight < rules.limits.commandsInFlight else {
            return [.limited(.commandsInFlight)] + fail(reference, .tooManyRequests(retryAfterSeconds: 1))
        }
        commandsInFlight += 1
        return [action()]
    }

    /// A command that was under way is done, with `message` for the client.
    package mutating func completed(_ message: ServerMessage) -> [SessionAction] {
        commandsInFlight -= 1
        if case .closed = phase { return [] }
        return [.send(message)]
    }
}
