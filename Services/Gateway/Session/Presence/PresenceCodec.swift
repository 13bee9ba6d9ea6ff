internal import Events
internal import GatewayWire
internal import JSON

/// How gateways write their announcements on the bus: JSON objects, one a message.
package enum PresenceCodec {
    package static func encode(_ announcement: PresenceAnnouncement) -> [UInt8] {
        let object: JSONObject =
            switch announcement {
            case .change(let node, let number, let change):
                [
                    "type": "change", "node": .string(node), "number": integer(number),
                    "kind": .string(change.kind.rawValue), "channel": .string(change.channel.description),
                    "info": encode(change.info),
                ]
            case .heartbeat(let node, let number):
                ["type": "heartbeat", "node": .string(node), "number": integer(number)]
            case .state(let node, let number, let members):
                [
                    "type": "state", "node": .string(node), "number": integer(number),
                    "channels": .object(
                        JSONObject(members.map { ($0.key.description, .array($0.value.map(encode))) })),
                ]
            case .request(let node): ["type": "request", "node": .string(node)]
            case .goodbye(let node): ["type": "goodbye", "node": .string(node)]
            }
        return JSONValue.object(object).serialized()
    }

    /// Nil for what no gateway writes.
    package static func decode(_ bytes: [UInt8]) -> PresenceAnnouncement? {
        guard let value = try? JSONValue(parsing: bytes), let node = value["node"]?.stringValue else { return nil }
        let number = value["number"]?.integerValue.flatMap { UInt64(exactly: $0) }
        switch value["type"]?.stringValue {
        case "request": return .request(node: node)
        case "goodbye": return .goodbye(node: node)
        case "heartbeat": return number.map { .heartbeat(node: node, number: $0) }
        case "change":
            guard let number, let kind = value["kind"]?.stringValue.flatMap(PresenceChange.Kind.init(rawValue:)),
                let channel = channel(value["channel"]?.stringValue), let info = value["info"].flatMap(info)
            else { return nil }
            return .change(node: node, number: number, PresenceChange(kind, channel, info))
        case "state":
            guard let number, let channels = value["channels"]?.objectValue else { return nil }
            var members: [ChannelName: [ClientInfo]] = [:]
            for (name, list) in channels {
                guard let channel = channel(name) else { return nil }
                members[channel] = (list.arrayValue ?? []).compactMap(info)
            }
            return .state(node: node, number: number, members)
        default: return nil
        }
    }

    private static func integer(_ number: UInt64) -> JSONValue { .integer(Int64(clamping: number)) }

    private static func channel(_ text: String?) -> ChannelName? { text.flatMap { try? ChannelName($0) } }

    private static func encode(_ info: ClientInfo) -> JSONValue {
        var object: JSONObject = ["client": .string(info.client), "user": .string(info.user)]
        object["info"] = info.info
        return .object(object)
    }

    private static func info(_ value: JSONValue) -> ClientInfo? {
        guard let client = value["client"]?.stringValue, let user = value["user"]?.stringValue else { return nil }
        return ClientInfo(client: client, user: user, info: value["info"])
    }
}
