internal import Events
internal import GatewayWire
internal import JSON

/// How gateways write to one another on the bus: JSON objects, one a message.
package enum ControlCodec {
    package static func encode(_ message: ControlMessage) -> [UInt8] {
        let object: JSONObject =
            switch message {
            case .alive(let node, let asks): ["type": "alive", "node": .string(node), "asks": .bool(asks)]
            case .goodbye(let node): ["type": "goodbye", "node": .string(node)]
            case .question(let id, let node, let question):
                ["type": "question", "id": .string(id), "node": .string(node), "question": encode(question)]
            case .answer(let id, let node, let answer, let isLast):
                [
                    "type": "answer", "id": .string(id), "node": .string(node), "answer": encode(answer),
                    "last": .bool(isLast),
                ]
            }
        return JSONValue.object(object).serialized()
    }

    /// Nil for what no gateway writes.
    package static func decode(_ bytes: [UInt8]) -> ControlMessage? {
        guard let value = try? JSONValue(parsing: bytes), let node = value["node"]?.stringValue else { return nil }
        switch value["type"]?.stringValue {
        case "alive": return .alive(node: node, asks: value["asks"]?.boolValue ?? false)
        case "goodbye": return .goodbye(node: node)
        case "question":
            guard let id = value["id"]?.stringValue, let question = value["question"].flatMap(question) else {
                return nil
            }
            return .question(id: id, node: node, question)
        case "answer":
            guard let id = value["id"]?.stringValue, let answer = value["answer"].flatMap(answer) else { return nil }
            return .answer(id: id, node: node, answer, isLast: value["last"]?.boolValue ?? true)
        default: return nil
        }
    }

    // MARK: Questions

    private static func encode(_ question: ControlQuestion) -> JSONValue {
        switch question {
        case .figures: return ["ask": "figures"]
        case .channels(let pattern):
            var object: JSONObject = ["ask": "channels"]
            object["pattern"] = pattern.map { .string($0) }
            return .object(object)
        case .order(let order, let selection):
            var object = encode(order)
            object["user"] = selection.user.map { .string($0) }
            object["client"] = selection.client.map { .string($0) }
            object["session"] = selection.session.map { .string($0) }
            if !selection.excluded.isEmpty { object["excluded"] = .array(selection.excluded.map { .string($0) }) }
            return .object(object)
        }
    }

    private static func encode(_ order: ControlOrder) -> JSONObject {
        switch order {
        case .disconnect(let disconnect):
            return [
                "ask": "disconnect", "code": .integer(Int64(disconnect.code)), "reason": .string(disconnect.reason),
            ]
        case .unsubscribe(let channel):
            var object: JSONObject = ["ask": "unsubscribe"]
            object["channel"] = channel.map { .string($0.description) }
            return object
        case .subscribe(let channel, let position, let data):
            var object: JSONObject = ["ask": "subscribe", "channel": .string(channel.description)]
            if let position {
                object["epoch"] = .string(position.epoch)
                object["offset"] = .integer(Int64(clamping: position.offset))
            }
            object["data"] = data
            return object
        case .refresh(let end):
            var object: JSONObject = ["ask": "refresh"]
            object["expires_at"] = end.map { .integer($0.seconds) }
            return object
        }
    }

    private static func question(_ value: JSONValue) -> ControlQuestion? {
        switch value["ask"]?.stringValue {
        case "figures": return .figures
        case "channels": return .channels(pattern: value["pattern"]?.stringValue)
        default:
            guard let order = order(value) else { return nil }
            let selection = ConnectionSelection(
                user: value["user"]?.stringValue, client: value["client"]?.stringValue,
                session: value["session"]?.stringValue,
                excluded: value["excluded"]?.arrayValue?.compactMap(\.stringValue) ?? [])
            // An order for nobody in particular would be one for everybody.
            guard selection.user != nil || selection.client != nil || selection.session != nil else { return nil }
            return .order(order, selection)
        }
    }

    private static func order(_ value: JSONValue) -> ControlOrder? {
        let channel = value["channel"]?.stringValue.flatMap { try? ChannelName($0) }
        switch value["ask"]?.stringValue {
        case "disconnect":
            guard let code = value["code"]?.integerValue.flatMap({ UInt16(exactly: $0) }),
                let reason = value["reason"]?.stringValue
            else { return nil }
            return .disconnect(Disconnect(code: code, reason: reason))
        case "unsubscribe":
            // A channel that cannot be read is not every channel.
            guard channel != nil || value["channel"] == nil else { return nil }
            return .unsubscribe(channel)
        case "subscribe":
            guard let channel else { return nil }
            var position: StreamPosition?
            if let epoch = value["epoch"]?.stringValue,
                let offset = value["offset"]?.integerValue.flatMap({ UInt64(exactly: $0) })
            {
                position = StreamPosition(epoch: epoch, offset: offset)
            }
            return .subscribe(channel, from: position, data: value["data"])
        case "refresh":
            guard let end = value["expires_at"] else { return .refresh(expiresAt: nil) }
            return end.integerValue.map { .refresh(expiresAt: Timestamp(seconds: $0)) }
        default: return nil
        }
    }

    // MARK: Answers

    private static func encode(_ answer: ControlAnswer) -> JSONValue {
        switch answer {
        case .done(let count): ["done": .integer(Int64(count))]
        case .figures(let figures):
            [
                "figures": [
                    "name": .string(figures.name), "version": .string(figures.version),
                    "clients": .integer(Int64(figures.clients)), "users": .integer(Int64(figures.users)),
                    "subscriptions": .integer(Int64(figures.subscriptions)),
                    "channels": .integer(Int64(figures.channels)), "uptime": .integer(Int64(figures.uptimeSeconds)),
                ]
            ]
        case .channels(let channels):
            ["channels": .object(JSONObject(channels.map { ($0.key, .integer(Int64($0.value))) }))]
        }
    }

    private static func answer(_ value: JSONValue) -> ControlAnswer? {
        func number(_ value: JSONValue?) -> Int? { value?.integerValue.flatMap { Int(exactly: $0) } }
        if let done = number(value["done"]) { return .done(done) }
        if let figures = value["figures"] {
            return .figures(
                GatewayFigures(
                    name: figures["name"]?.stringValue ?? "", version: figures["version"]?.stringValue ?? "",
                    clients: number(figures["clients"]) ?? 0, users: number(figures["users"]) ?? 0,
                    subscriptions: number(figures["subscriptions"]) ?? 0, channels: number(figures["channels"]) ?? 0,
                    uptimeSeconds: number(figures["uptime"]) ?? 0))
        }
        guard let channels = value["channels"]?.objectValue else { return nil }
        return .channels(
            Dictionary(channels.map { ($0.key, number($0.value) ?? 0) }, uniquingKeysWith: { first, _ in first }))
    }
}
