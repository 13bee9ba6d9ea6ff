internal import Events
internal import GatewayWire
internal import JSON

/// How gateways write their announcements on the bus: JSON objects.
package enum PresenceCodec {
    /// What a message may hold unless a single member needs more; NATS's own limit is 1 MiB unless it was configured.
    package static let maximumBytes = 64 << 10

    /// The announcement as one message, or as several when it would be larger than `maximumBytes`.
    package static func encode(
        _ announcement: PresenceAnnouncement, maximumBytes: Int = maximumBytes
    ) -> [[UInt8]] {
        switch announcement {
        case .changes(let node, let first, let changes):
            var number = first
            return parts(changes.map(encode), maximumBytes).map { part in
                defer { number += UInt64(part.count) }
                return bytes(
                    ["type": "changes", "node": .string(node), "first": integer(number), "changes": .array(part)])
            }
        case .state(let node, let number, _, _, let members):
            let parts = parts(members.map(encode), maximumBytes)
            return parts.enumerated().map { index, part in
                bytes([
                    "type": "state", "node": .string(node), "number": integer(number),
                    "part": .integer(Int64(index)), "of": .integer(Int64(parts.count)), "members": .array(part),
                ])
            }
        case .heartbeat(let node, let number, let digest):
            return [
                bytes([
                    "type": "heartbeat", "node": .string(node), "number": integer(number),
                    "digest": .integer(Int64(bitPattern: digest)),
                ])
            ]
        case .request(let node, let other):
            var object: JSONObject = ["type": "request", "node": .string(node)]
            object["of"] = other.map { .string($0) }
            return [bytes(object)]
        case .goodbye(let node): return [bytes(["type": "goodbye", "node": .string(node)])]
        }
    }

    private static func bytes(_ object: JSONObject) -> [UInt8] { JSONValue.object(object).serialized() }

    /// In order; one that is empty makes one empty part.
    private static func parts(_ elements: [JSONValue], _ maximumBytes: Int) -> [[JSONValue]] {
        // What stands around the elements of a message.
        let frame = 256
        var parts: [[JSONValue]] = [[]]
        var bytes = frame
        for element in elements {
            let size = element.serialized().count + 1
            if bytes + size > maximumBytes, !parts[parts.count - 1].isEmpty {
                parts.append([])
                bytes = frame
            }
            parts[parts.count - 1].append(element)
            bytes += size
        }
        return parts
    }

    /// Nil for what no gateway writes.
    package static func decode(_ bytes: [UInt8]) -> PresenceAnnouncement? {
        guard let value = try? JSONValue(parsing: bytes), let node = value["node"]?.stringValue else { return nil }
        switch value["type"]?.stringValue {
        case "request": return .request(node: node, of: value["of"]?.stringValue)
        case "goodbye": return .goodbye(node: node)
        case "heartbeat":
            guard let number = number(value["number"]), let digest = value["digest"]?.integerValue else { return nil }
            return .heartbeat(node: node, number: number, digest: UInt64(bitPattern: digest))
        case "changes":
            guard let first = number(value["first"]), let list = value["changes"]?.arrayValue else { return nil }
            let changes = list.compactMap(change)
            // A change that cannot be read would shift the numbers of those after it.
            return changes.count == list.count ? .changes(node: node, first: first, changes) : nil
        case "state":
            guard let number = number(value["number"]), let list = value["members"]?.arrayValue,
                let part = value["part"]?.integerValue.flatMap({ Int(exactly: $0) }),
                let total = value["of"]?.integerValue.flatMap({ Int(exactly: $0) })
            else { return nil }
            let members = list.compactMap(member)
            return members.count == list.count
                ? .state(node: node, number: number, part: part, of: total, members) : nil
        default: return nil
        }
    }

    private static func integer(_ number: UInt64) -> JSONValue { .integer(Int64(clamping: number)) }

    /// No gateway counts further than half the range, so that counting on cannot overflow.
    private static func number(_ value: JSONValue?) -> UInt64? {
        value?.integerValue.flatMap { UInt64(exactly: $0) }.flatMap { $0 < 1 << 62 ? $0 : nil }
    }

    private static func encode(_ member: PresenceMember) -> JSONValue {
        .object(object(member.channel, member.info))
    }

    private static func object(_ channel: ChannelName, _ info: ClientInfo) -> JSONObject {
        var object: JSONObject = [
            "channel": .string(channel.description), "client": .string(info.client), "user": .string(info.user),
        ]
        object["info"] = info.info
        return object
    }

    private static func encode(_ change: MembershipChange) -> JSONValue {
        var object: JSONObject =
            change.kind == .joined
            ? object(change.channel, change.info)
            : ["channel": .string(change.channel.description), "client": .string(change.info.client)]
        object["kind"] = .string(change.kind.rawValue)
        return .object(object)
    }

    private static func member(_ value: JSONValue) -> PresenceMember? {
        guard let channel = value["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
            let client = value["client"]?.stringValue, let user = value["user"]?.stringValue
        else { return nil }
        return PresenceMember(channel, ClientInfo(client: client, user: user, info: value["info"]))
    }

    private static func change(_ value: JSONValue) -> MembershipChange? {
        guard let kind = value["kind"]?.stringValue.flatMap(MembershipChange.Kind.init(rawValue:)) else { return nil }
        if kind == .joined { return member(value).map { MembershipChange(kind, $0.channel, $0.info) } }
        guard let channel = value["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
            let client = value["client"]?.stringValue
        else { return nil }
        return MembershipChange(kind, channel, ClientInfo(client: client, user: ""))
    }
}
