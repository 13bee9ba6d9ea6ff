package import Events
package import GatewayWire

/// Who is on which channel, gateway by gateway: this one's own clients, and what the others announced of theirs.
///
/// A value without clock or bus. Each gateway is the authority on its own clients. A missed announcement is seen by the
/// numbers or by the digest of a heartbeat, and mended by asking. A gateway that was silent for the lease, while this one
/// could hear, is taken for dead and its clients for gone.
package struct PresenceTable: Sendable {
    private struct Remote: Sendable {
        var number: UInt64
        var heardAt: Moment
        var roster: PresenceRoster
    }

    /// Parts of a state of which others are still to come.
    private struct Assembly: Sendable {
        var number: UInt64
        var total: Int
        var parts: [Int: [PresenceMember]] = [:]
    }

    package let node: String
    private let lease: Duration
    /// How many changes this gateway's clients have made.
    package private(set) var number: UInt64 = 0
    private var own = PresenceRoster()
    /// Changes that were not announced yet.
    private var pending: [MembershipChange] = []
    private var remotes: [String: Remote] = [:]
    private var assemblies: [String: Assembly] = [:]
    /// When a gateway was asked for its state last.
    private var asked: [String: Moment] = [:]
    /// When this gateway heard its own heartbeat last: the proof that it hears others.
    private var heardSelfAt: Moment?

    package static let standardLease = Duration.seconds(10)
    /// Which part of a state may be announced at most; beyond, it is nothing that a gateway wrote.
    package static let maximumParts = 65_536
    /// How long the answer to a request may take before it is repeated.
    static let patience = Duration.seconds(1)

    package init(node: String, lease: Duration = standardLease) {
        self.node = node
        self.lease = lease
    }

    /// How often a gateway says that it lives: four heartbeats may get lost.
    package var heartbeatInterval: Duration { lease / 5 }

    /// How many other gateways are known.
    package var others: Int { remotes.count }

    // MARK: This gateway's clients

    package mutating func join(_ channel: ChannelName, _ info: ClientInfo) -> MembershipChange? {
        guard own.insert(channel, info) else { return nil }
        return note(MembershipChange(.joined, channel, info))
    }

    /// - Parameter kind: `left` or `dropped`.
    package mutating func leave(
        _ channel: ChannelName, client: String, _ kind: MembershipChange.Kind
    ) -> MembershipChange? {
        guard let info = own.remove(channel, client: client) else { return nil }
        return note(MembershipChange(kind, channel, info))
    }

    private mutating func note(_ change: MembershipChange) -> MembershipChange {
        number += 1
        pending.append(change)
        return change
    }

    /// What the others must hear before anything else; nil if they have heard everything.
    package mutating func takePending() -> PresenceAnnouncement? {
        guard !pending.isEmpty else { return nil }
        defer { pending = [] }
        return .changes(node: node, first: number - UInt64(pending.count) + 1, pending)
    }

    package var heartbeat: PresenceAnnouncement { .heartbeat(node: node, number: number, digest: own.digest) }

    /// Whether the others have not heard everything.
    package var hasPending: Bool { !pending.isEmpty }

    /// When the first of the others has been silent for too long, if nothing comes of it until then.
    package var firstExpiry: Moment? { remotes.values.lazy.map(\.heardAt).min()?.advanced(by: lease) }

    /// As one part; the codec cuts it up.
    package var state: PresenceAnnouncement { .state(node: node, number: number, part: 0, of: 1, own.all) }

    // MARK: The others

    /// What follows from an announcement.
    package struct Effect: Sendable, Equatable {
        package var changes: [MembershipChange] = []
        /// The gateway that must be asked for its state.
        package var request: String?
        /// Somebody asks for this gateway's state.
        package var mustTellState = false

        package init(changes: [MembershipChange] = [], request: String? = nil, mustTellState: Bool = false) {
            self.changes = changes
            self.request = request
            self.mustTellState = mustTellState
        }
    }

    package mutating func receive(_ announcement: PresenceAnnouncement, now: Moment) -> Effect {
        switch announcement {
        case .request(let other, let asked):
            return Effect(mustTellState: other != node && (asked == nil || asked == node))
        case .goodbye(let other):
            return other == node ? Effect() : Effect(changes: forget(other, .dropped))
        case .heartbeat(let other, let number, let digest):
            if other == node { return hearSelf(now) }
            remotes[other]?.heardAt = now
            guard let remote = remotes[other], remote.number == number, remote.roster.digest == digest else {
                // One that was overtaken by changes says nothing about them.
                if let known = remotes[other]?.number, number < known { return Effect() }
                return ask(other, now)
            }
            return Effect()
        case .changes(let other, let first, let changes):
            return other == node ? Effect() : receive(changes, first, from: other, now)
        case .state(let other, let number, let part, let total, let members):
            return other == node ? Effect() : receive(members, number, part, total, from: other, now)
        }
    }

    private mutating func receive(
        _ changes: [MembershipChange], _ first: UInt64, from other: String, _ now: Moment
    ) -> Effect {
        guard var remote = remotes[other] else { return ask(other, now) }
        remotes[other]?.heardAt = now
        let (end, overflows) = first.addingReportingOverflow(UInt64(changes.count))
        // What was heard before changes nothing; what comes too early shows that something was missed.
        guard !overflows, end > remote.number + 1 else { return Effect() }
        guard first >= 1, first <= remote.number + 1 else { return ask(other, now) }
        var told: [MembershipChange] = []
        for change in changes.dropFirst(Int(remote.number + 1 - first)) {
            remote.number += 1
            switch change.kind {
            case .joined: if remote.roster.insert(change.channel, change.info) { told.append(change) }
            case .left, .dropped:
                guard let info = remote.roster.remove(change.channel, client: change.info.client) else { continue }
                told.append(MembershipChange(change.kind, change.channel, info))
            }
        }
        remote.heardAt = now
        remotes[other] = remote
        return Effect(changes: told)
    }

    private mutating func receive(
        _ members: [PresenceMember], _ number: UInt64, _ part: Int, _ total: Int, from other: String, _ now: Moment
    ) -> Effect {
        remotes[other]?.heardAt = now
        guard (1...PresenceTable.maximumParts).contains(total), (0..<total).contains(part),
            number >= remotes[other]?.number ?? 0
        else { return Effect() }
        var assembly = assemblies[other] ?? Assembly(number: number, total: total)
        if assembly.number > number { return Effect() }
        if assembly.number < number || assembly.total != total { assembly = Assembly(number: number, total: total) }
        assembly.parts[part] = members
        guard assembly.parts.count == total else {
            assemblies[other] = assembly
            return Effect()
        }
        assemblies[other] = nil
        asked[other] = nil
        let roster = PresenceRoster(assembly.parts.values.flatMap { $0 })
        let before = remotes[other]?.roster ?? PresenceRoster()
        remotes[other] = Remote(number: number, heardAt: now, roster: roster)
        return Effect(changes: before.difference(to: roster))
    }

    private mutating func ask(_ other: String, _ now: Moment) -> Effect {
        if let at = asked[other], now < at.advanced(by: PresenceTable.patience) { return Effect() }
        asked[other] = now
        return Effect(request: other)
    }

    // MARK: Silence

    /// This gateway hears itself over the bus, and so could hear others. After a time in which it could not, the silence of
    /// the others says nothing about them, and their leases begin anew.
    private mutating func hearSelf(_ now: Moment) -> Effect {
        if !hears(now) {
            for other in remotes.keys { remotes[other]?.heardAt = now }
        }
        heardSelfAt = now
        return Effect()
    }

    private func hears(_ now: Moment) -> Bool {
        guard let heardSelfAt else { return false }
        return now <= heardSelfAt.advanced(by: lease / 2)
    }

    /// Forgets gateways that have been silent for longer than the lease, unless it is this one that hears nobody.
    package mutating func expire(now: Moment) -> [MembershipChange] {
        asked = asked.filter { now < $0.value.advanced(by: lease) }
        guard hears(now) else { return [] }
        let silent = remotes.filter { $0.value.heardAt.advanced(by: lease) < now }.keys
        return silent.sorted().flatMap { forget($0, .left) }
    }

    private mutating func forget(_ other: String, _ kind: MembershipChange.Kind) -> [MembershipChange] {
        assemblies[other] = nil
        guard let remote = remotes.removeValue(forKey: other) else { return [] }
        return remote.roster.all.map { MembershipChange(kind, $0.channel, $0.info) }
    }

    // MARK: Looking

    /// Everybody whose connection is known to be open.
    package func members(of channel: ChannelName) -> [ClientInfo] {
        var members = own.members[channel] ?? [:]
        for remote in remotes.values {
            members.merge(remote.roster.members[channel] ?? [:]) { mine, _ in mine }
        }
        return members.values.sorted { $0.client < $1.client }
    }
}
