internal import DequeModule
package import Events
package import GatewayWire

/// Who is on each channel as its subscribers see it: what happens to connections, without the blinks.
///
/// A client whose connection ended stays listed for the linger time. If the same user with the same info comes back to the
/// channel meanwhile, over whichever gateway, it takes that place: nothing is told, and the channel goes on knowing it by
/// the id it had. So for everybody who follows the changes, each id comes and goes in turn, and the ids listed are those
/// that came and have not gone.
///
/// A value without clock. Gateways need not agree on the ids: a subscriber hears of one gateway's only.
package struct ShownPresence: Sendable {
    /// What makes a client that comes the same as one that went: its user and what its token says of it.
    private typealias Identity = ClientInfo

    private struct Channel: Sendable {
        /// By the id that the channel knows them by.
        var members: [String: ClientInfo] = [:]
        /// How many members each user has.
        var users: [String: Int] = [:]
        /// Where they differ: the id of a connection, and the one that the channel knows it by.
        var known: [String: String] = [:]
        /// Those without a connection, oldest first.
        var away: [Identity: [String]] = [:]
        /// Those whose coming was not told yet, oldest first.
        var unannounced: [Identity: [String]] = [:]
        var list: [ClientInfo]?
    }

    private struct Deadline: Sendable {
        enum Kind {
            case away
            case unannounced
        }
        var kind: Kind
        var channel: ChannelName
        var id: String
        var at: Moment
    }

    private let linger: Duration
    private var channels: [ChannelName: Channel] = [:]
    /// Each is in the order of its deadlines, since all of a kind wait equally long.
    private var awayUntil: Deque<Deadline> = []
    private var tellAt: Deque<Deadline> = []
    /// Until when each of them waits; what is not here any more has been settled.
    private var waiting: [ChannelName: [String: Moment]] = [:]

    private var lingers = (returned: 0, gone: 0)

    package static let standardLinger = Duration.seconds(4)
    /// How long the coming of a user that is on the channel already waits to be told: the news that its other connection
    /// ended may be on its way from another gateway.
    package static let settling = Duration.milliseconds(300)

    /// - Parameter linger: zero shows every end of a connection as a leave at once.
    package init(linger: Duration = standardLinger) { self.linger = linger }

    // MARK: Changes

    /// - Returns: what the channel's subscribers are told.
    package mutating func apply(_ change: MembershipChange, now: Moment) -> PresenceChange? {
        let name = change.channel
        var channel = channels.removeValue(forKey: name) ?? Channel()
        defer { channels[name] = channel.members.isEmpty ? nil : channel }
        switch change.kind {
        case .joined: return joined(change.info, &channel, name, now)
        case .left: return left(change.info.client, &channel, name)
        case .dropped: return dropped(change.info.client, &channel, name, now)
        }
    }

    private mutating func joined(
        _ info: ClientInfo, _ channel: inout Channel, _ name: ChannelName, _ now: Moment
    ) -> PresenceChange? {
        let identity = ShownPresence.identity(info)
        if let place = ShownPresence.takeFirst(&channel.away, identity) {
            stopWaiting(name, place)
            if place != info.client { channel.known[info.client] = place }
            lingers.returned += 1
            return nil
        }
        // Its own id may still be the one by which the channel knows another connection of the same user.
        var shown = info
        while channel.members[shown.client] != nil { shown.client += "'" }
        if shown.client != info.client { channel.known[info.client] = shown.client }
        let isHere = !info.user.isEmpty && linger > .zero && channel.users[info.user] != nil
        ShownPresence.insert(shown, &channel)
        guard isHere else { return PresenceChange(.joined, name, shown) }
        channel.unannounced[identity, default: []].append(shown.client)
        wait(.unannounced, name, shown.client, until: now.advanced(by: ShownPresence.settling))
        return nil
    }

    private mutating func left(_ client: String, _ channel: inout Channel, _ name: ChannelName) -> PresenceChange? {
        let id = channel.known.removeValue(forKey: client) ?? client
        guard let info = ShownPresence.remove(id, &channel) else { return nil }
        if ShownPresence.take(id, from: &channel.unannounced, ShownPresence.identity(info)) {
            stopWaiting(name, id)
            return nil
        }
        return PresenceChange(.left, name, info)
    }

    private mutating func dropped(
        _ client: String, _ channel: inout Channel, _ name: ChannelName, _ now: Moment
    ) -> PresenceChange? {
        let id = channel.known[client] ?? client
        guard let info = channel.members[id] else { return nil }
        let identity = ShownPresence.identity(info)
        // Nobody in particular cannot come back.
        guard !info.user.isEmpty, linger > .zero, !(channel.unannounced[identity]?.contains(id) ?? false) else {
            return left(client, &channel, name)
        }
        channel.known[client] = nil
        if let place = ShownPresence.takeFirst(&channel.unannounced, identity) {
            // It had come back already: that connection, shown under an id of its own until now, gets the place.
            stopWaiting(name, place)
            _ = ShownPresence.remove(place, &channel)
            let isAlias = place.hasSuffix("'")
            let connection = isAlias ? channel.known.first { $0.value == place }?.key ?? place : place
            channel.known[connection] = connection == id ? nil : id
            lingers.returned += 1
            return nil
        }
        channel.away[identity, default: []].append(id)
        wait(.away, name, id, until: now.advanced(by: linger))
        return nil
    }

    private mutating func wait(_ kind: Deadline.Kind, _ name: ChannelName, _ id: String, until at: Moment) {
        waiting[name, default: [:]][id] = at
        let deadline = Deadline(kind: kind, channel: name, id: id, at: at)
        switch kind {
        case .away: awayUntil.append(deadline)
        case .unannounced: tellAt.append(deadline)
        }
    }

    private mutating func stopWaiting(_ name: ChannelName, _ id: String) {
        waiting[name]?[id] = nil
        if waiting[name]?.isEmpty == true { waiting[name] = nil }
    }

    /// What time alone brings about: who did not come back in time has left, and who came is told.
    package mutating func advance(to now: Moment) -> [PresenceChange] {
        channels.giveBackRoom()
        waiting.giveBackRoom()
        var changes: [PresenceChange] = []
        while let first = tellAt.first, first.at <= now {
            tellAt.removeFirst()
            if let change = settle(first) { changes.append(change) }
        }
        while let first = awayUntil.first, first.at <= now {
            awayUntil.removeFirst()
            if let change = settle(first) { changes.append(change) }
        }
        return changes
    }

    /// When time alone brings about something next, at the earliest.
    package var nextDeadline: Moment? {
        switch (tellAt.first?.at, awayUntil.first?.at) {
        case (let one?, let other?): min(one, other)
        case (let one, let other): one ?? other
        }
    }

    private mutating func settle(_ deadline: Deadline) -> PresenceChange? {
        let (name, id) = (deadline.channel, deadline.id)
        guard waiting[name]?[id] == deadline.at, var channel = channels.removeValue(forKey: name) else { return nil }
        defer { channels[name] = channel.members.isEmpty ? nil : channel }
        stopWaiting(name, id)
        guard let info = channel.members[id] else { return nil }
        let identity = ShownPresence.identity(info)
        switch deadline.kind {
        case .unannounced:
            guard ShownPresence.take(id, from: &channel.unannounced, identity) else { return nil }
            return PresenceChange(.joined, name, info)
        case .away:
            guard ShownPresence.take(id, from: &channel.away, identity) else { return nil }
            _ = ShownPresence.remove(id, &channel)
            lingers.gone += 1
            return PresenceChange(.left, name, info)
        }
    }

    /// How many were away and came back in time, and how many did not, since this was asked last.
    mutating func takeLingers() -> (returned: Int, gone: Int) {
        defer { lingers = (0, 0) }
        return lingers
    }

    // MARK: Looking

    /// Those listed, by id. The list is made once for all who ask until somebody comes or goes.
    package mutating func members(of name: ChannelName) -> [ClientInfo] {
        guard let channel = channels[name] else { return [] }
        if let list = channel.list { return list }
        let list = channel.members.values.sorted { $0.client < $1.client }
        channels[name]?.list = list
        return list
    }

    package func statistics(of name: ChannelName) -> PresenceStatistics {
        guard let channel = channels[name] else { return PresenceStatistics(clients: 0, users: 0) }
        return PresenceStatistics(clients: channel.members.count, users: channel.users.count)
    }

    // MARK: Pieces

    private static func identity(_ info: ClientInfo) -> Identity {
        ClientInfo(client: "", user: info.user, info: info.info)
    }

    private static func insert(_ info: ClientInfo, _ channel: inout Channel) {
        channel.members[info.client] = info
        channel.users[info.user, default: 0] += 1
        channel.list = nil
    }

    private static func remove(_ id: String, _ channel: inout Channel) -> ClientInfo? {
        guard let info = channel.members.removeValue(forKey: id) else { return nil }
        channel.members.giveBackRoom()
        let count = (channel.users[info.user] ?? 1) - 1
        channel.users[info.user] = count > 0 ? count : nil
        channel.users.giveBackRoom()
        channel.list = nil
        return info
    }

    private static func takeFirst(_ ids: inout [Identity: [String]], _ identity: Identity) -> String? {
        guard let first = ids[identity]?.first else { return nil }
        return take(first, from: &ids, identity) ? first : nil
    }

    /// - Returns: whether it was there.
    private static func take(_ id: String, from ids: inout [Identity: [String]], _ identity: Identity) -> Bool {
        guard let index = ids[identity]?.firstIndex(of: id) else { return false }
        ids[identity]?.remove(at: index)
        if ids[identity]?.isEmpty == true { ids[identity] = nil }
        return true
    }
}

/// How many are on a channel.
package struct PresenceStatistics: Sendable, Equatable {
    package var clients: Int
    /// Different users among them; all without a user count as one.
    package var users: Int

    package init(clients: Int, users: Int) {
        self.clients = clients
        self.users = users
    }
}
