package import Events
package import GatewayWire

/// What one gateway tells the others about who is connected to it.
package enum PresenceAnnouncement: Sendable, Equatable {
    /// One change, numbered per gateway without gaps.
    case change(node: String, number: UInt64, PresenceChange)
    /// The gateway lives and has announced so many changes.
    case heartbeat(node: String, number: UInt64)
    /// All that are connected to it, after so many changes.
    case state(node: String, number: UInt64, [ChannelName: [ClientInfo]])
    /// Whoever hears this announces its state: a gateway has started, or has missed something.
    case request(node: String)
    /// The gateway stops.
    case goodbye(node: String)
}

/// Who is on which channel, over all gateways: this one's own clients, and what the others announced of theirs.
///
/// A value without clock or bus. Each gateway is the authority on its own clients; a gateway that has not been heard for
/// a while is taken for dead and its clients for gone. A missed announcement is seen by the numbers and mended by asking.
package struct PresenceTable: Sendable {
    private struct Remote: Sendable {
        var number: UInt64
        var heardAt: Moment
        var members: [ChannelName: [String: ClientInfo]]
    }

    package let node: String
    /// How many changes this gateway has announced.
    package private(set) var number: UInt64 = 0
    private var own: [ChannelName: [String: ClientInfo]] = [:]
    private var remotes: [String: Remote] = [:]

    /// How long a gateway may be silent.
    package static let lease = Duration.seconds(12)
    package static let heartbeatInterval = Duration.seconds(4)

    package init(node: String) { self.node = node }

    // MARK: This gateway's clients

    package mutating func join(_ channel: ChannelName, _ info: ClientInfo) -> (PresenceChange, PresenceAnnouncement)? {
        guard own[channel]?[info.client] == nil else { return nil }
        own[channel, default: [:]][info.client] = info
        return announce(PresenceChange(.joined, channel, info))
    }

    package mutating func leave(_ channel: ChannelName, client: String) -> (PresenceChange, PresenceAnnouncement)? {
        guard let info = own[channel]?.removeValue(forKey: client) else { return nil }
        if own[channel]?.isEmpty == true { own[channel] = nil }
        return announce(PresenceChange(.left, channel, info))
    }

    private mutating func announce(_ change: PresenceChange) -> (PresenceChange, PresenceAnnouncement) {
        number += 1
        return (change, .change(node: node, number: number, change))
    }

    package var heartbeat: PresenceAnnouncement { .heartbeat(node: node, number: number) }

    package var state: PresenceAnnouncement {
        .state(node: node, number: number, own.mapValues { Array($0.values) })
    }

    // MARK: The others

    /// What follows from an announcement.
    package struct Effect: Sendable, Equatable {
        package var changes: [PresenceChange] = []
        package var reply: PresenceAnnouncement?
    }

    package mutating func receive(_ announcement: PresenceAnnouncement, now: Moment) -> Effect {
        switch announcement {
        case .request(let other):
            return other == node ? Effect() : Effect(reply: state)
        case .goodbye(let other):
            return other == node ? Effect() : Effect(changes: forget(other))
        case .heartbeat(let other, let number):
            guard other != node else { return Effect() }
            remotes[other]?.heardAt = now
            return remotes[other]?.number == number ? Effect() : Effect(reply: .request(node: node))
        case .change(let other, let number, let change):
            guard other != node else { return Effect() }
            guard let remote = remotes[other], remote.number + 1 == number else {
                // An old one changes nothing; a later one shows that something was missed.
                let isOld = remotes[other].map { number <= $0.number } ?? false
                return isOld ? Effect() : Effect(reply: .request(node: node))
            }
            remotes[other]?.number = number
            remotes[other]?.heardAt = now
            switch change.kind {
            case .joined: remotes[other]?.members[change.channel, default: [:]][change.info.client] = change.info
            case .left:
                remotes[other]?.members[change.channel]?[change.info.client] = nil
                if remotes[other]?.members[change.channel]?.isEmpty == true {
                    remotes[other]?.members[change.channel] = nil
                }
            }
            return Effect(changes: [change])
        case .state(let other, let number, let members):
            guard other != node, number >= remotes[other]?.number ?? 0 else { return Effect() }
            let before = remotes[other]?.members ?? [:]
            let after = members.mapValues { Dictionary($0.map { ($0.client, $0) }, uniquingKeysWith: { $1 }) }
            remotes[other] = Remote(number: number, heardAt: now, members: after)
            return Effect(changes: PresenceTable.difference(from: before, to: after))
        }
    }

    /// Forgets gateways that have been silent for longer than the lease.
    package mutating func expire(now: Moment) -> [PresenceChange] {
        let silent = remotes.filter { $0.value.heardAt.advanced(by: PresenceTable.lease) < now }.keys
        return silent.sorted().flatMap { forget($0) }
    }

    private mutating func forget(_ other: String) -> [PresenceChange] {
        guard let remote = remotes.removeValue(forKey: other) else { return [] }
        return PresenceTable.difference(from: remote.members, to: [:])
    }

    private static func difference(
        from before: [ChannelName: [String: ClientInfo]], to after: [ChannelName: [String: ClientInfo]]
    ) -> [PresenceChange] {
        var changes: [PresenceChange] = []
        for (channel, members) in before {
            for (client, info) in members where after[channel]?[client] == nil {
                changes.append(PresenceChange(.left, channel, info))
            }
        }
        for (channel, members) in after {
            for (client, info) in members where before[channel]?[client] == nil {
                changes.append(PresenceChange(.joined, channel, info))
            }
        }
        return changes.sorted { ($0.channel.description, $0.info.client) < ($1.channel.description, $1.info.client) }
    }

    // MARK: Looking

    package func members(of channel: ChannelName) -> [ClientInfo] {
        var members = own[channel] ?? [:]
        for remote in remotes.values {
            members.merge(remote.members[channel] ?? [:]) { mine, _ in mine }
        }
        return members.values.sorted { $0.client < $1.client }
    }
}
