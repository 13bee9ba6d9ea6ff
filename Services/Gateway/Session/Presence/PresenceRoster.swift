internal import Events
internal import GatewayWire

/// The members that one gateway holds, with a digest that two equal rosters share whatever order they were made in.
struct PresenceRoster: Sendable {
    private(set) var members: [ChannelName: [String: ClientInfo]] = [:]
    private(set) var digest: UInt64 = 0

    init() {}

    init(_ list: [PresenceMember]) {
        for member in list { insert(member.channel, member.info) }
    }

    subscript(channel: ChannelName, client: String) -> ClientInfo? { members[channel]?[client] }

    /// - Returns: whether it was not there.
    @discardableResult
    mutating func insert(_ channel: ChannelName, _ info: ClientInfo) -> Bool {
        guard members[channel]?[info.client] == nil else { return false }
        members[channel, default: [:]][info.client] = info
        digest &+= PresenceRoster.hash(channel, info.client)
        return true
    }

    @discardableResult
    mutating func remove(_ channel: ChannelName, client: String) -> ClientInfo? {
        guard let info = members[channel]?.removeValue(forKey: client) else { return nil }
        if members[channel]?.isEmpty == true { members[channel] = nil } else { members[channel]?.giveBackRoom() }
        members.giveBackRoom()
        digest &-= PresenceRoster.hash(channel, client)
        return info
    }

    /// In an order of its own: two parts of one state never overlap.
    var all: [PresenceMember] {
        members.sorted { $0.key.description < $1.key.description }.flatMap { channel, members in
            members.values.sorted { $0.client < $1.client }.map { PresenceMember(channel, $0) }
        }
    }

    /// What must change for this roster to become `after`. Nobody knows why somebody is missing in it: perhaps the
    /// connection ended, so that it counts as dropped.
    func difference(to after: PresenceRoster) -> [MembershipChange] {
        let gone = all.filter { after[$0.channel, $0.info.client] == nil }
        let new = after.all.filter { self[$0.channel, $0.info.client] == nil }
        return gone.map { MembershipChange(.dropped, $0.channel, $0.info) }
            + new.map { MembershipChange(.joined, $0.channel, $0.info) }
    }

    /// FNV-1a: the same on every gateway, which Swift's own hash is not.
    private static func hash(_ channel: ChannelName, _ client: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        for byte in channel.description.utf8 { add(byte) }
        add(0)
        for byte in client.utf8 { add(byte) }
        return hash
    }
}
