package import Events
package import Identity

/// Decides what a client may do on a channel. Pure: a hook's answer is asked for by whoever carries decisions out.
package struct ChannelPolicy: Sendable {
    package enum Decision: Sendable, Equatable {
        case allow
        case deny
        /// Nobody without a token may, somebody with one perhaps.
        case authenticationRequired
        case askHook
    }

    package let namespaces: NamespaceTable

    package init(namespaces: NamespaceTable) { self.namespaces = namespaces }

    package func subscribe(_ channel: ChannelName, _ namespace: Namespace, _ identity: Identity) -> Decision {
        if identity.allows(channel: channel, operation: .subscribe) { return .allow }
        return decide(namespace.subscribe, channel, identity, isSubscribed: false)
    }

    package func publish(
        _ channel: ChannelName, _ namespace: Namespace, _ identity: Identity, isSubscribed: Bool
    ) -> Decision {
        if identity.allows(channel: channel, operation: .publish) { return .allow }
        return decide(namespace.publish, channel, identity, isSubscribed: isSubscribed)
    }

    /// Presence and history are for those who are on the channel, and for those whose token says so.
    package func look(
        _ operation: Capability.Operation, _ channel: ChannelName, _ identity: Identity, isSubscribed: Bool
    ) -> Decision {
        isSubscribed || identity.allows(channel: channel, operation: operation) ? .allow : .deny
    }

    private func decide(
        _ rule: Namespace.Rule, _ channel: ChannelName, _ identity: Identity, isSubscribed: Bool
    ) -> Decision {
        switch rule {
        case .nobody: .deny
        case .anyone: .allow
        case .authenticated: identity.user != nil ? .allow : .authenticationRequired
        case .owner:
            if let user = identity.user {
                // By bytes: two names that only look the same are two users.
                user.utf8.elementsEqual(channel.name.utf8) || identity.roles.contains("admin") ? .allow : .deny
            } else {
                .authenticationRequired
            }
        case .subscriber: isSubscribed ? .allow : .deny
        case .roles(let roles):
            if identity.user == nil {
                .authenticationRequired
            } else {
                identity.roles.contains(where: roles.contains) ? .allow : .deny
            }
        case .hook: .askHook
        }
    }
}
