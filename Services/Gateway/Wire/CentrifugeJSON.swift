internal import Events
internal import JSON

/// The Centrifuge client protocol, JSON flavour: github.com/centrifugal/protocol, `definitions/client.proto`, version 2.
///
/// ```
/// → {"id":1,"connect":{"token":"…"}}
/// ← {"id":1,"connect":{"client":"…","ping":25,"pong":true}}
/// ← {"push":{"channel":"room:lobby","pub":{"data":{"text":"hi"},"offset":5}}}
/// ```
/// A `publish` may have an `idempotency_key`, which is ours and which the protocol's own clients do not send: on channels
/// with history, the same key of the same user is stored once within two minutes.
///
/// A frame holds one or more JSON objects, a line each. `{}` is a ping from the server and its answer from the client.
package struct CentrifugeJSON: WireProtocol {
    /// How many commands one frame may hold.
    package static let maximumCommandsPerFrame = 256

    /// Stands in for a connect command without a token: browsers' code often has it in the address.
    private let tokenOfAddress: String?

    package init(tokenOfAddress: String? = nil) { self.tokenOfAddress = tokenOfAddress }

    // MARK: Decoding

    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] {
        var commands: [ClientCommand] = []
        for line in frame.split(separator: UInt8(ascii: "\n")) where !CentrifugeJSON.isBlank(line) {
            guard commands.count < CentrifugeJSON.maximumCommandsPerFrame else {
                throw WireError("more than \(CentrifugeJSON.maximumCommandsPerFrame) commands in a frame")
            }
            let value: JSONValue
            do {
                value = try JSONValue(parsing: line)
            } catch {
                throw WireError("a command is not JSON")
            }
            guard let object = value.objectValue else { throw WireError("a command is not an object") }
            commands.append(command(object))
        }
        guard !commands.isEmpty else { throw WireError("a frame without a command") }
        return commands
    }

    private static func isBlank(_ line: ArraySlice<UInt8>) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }

    private func command(_ object: JSONObject) -> ClientCommand {
        if object.isEmpty { return .pong }
        let reference = object["id"]?.integerValue.flatMap { UInt32(exactly: $0) } ?? 0
        guard let (name, body) = object.first(where: { $0.key != "id" }).map({ ($0.key, $0.value) }) else {
            return .malformed(reason: "a command without a method", reference)
        }
        // Only a send wants no answer; a reply to anything else without an id could not be told from another.
        guard reference != 0 || name == "send" else { return .malformed(reason: "a command without an id", 0) }
        guard body.objectValue != nil || body.isNull else {
            return .malformed(reason: "\(name) is not an object", reference)
        }
        func channel(_ make: (String) -> ClientCommand) -> ClientCommand {
            guard let channel = body["channel"]?.stringValue else {
                return .malformed(reason: "\(name) without a channel", reference)
            }
            return make(channel)
        }
        switch name {
        case "connect": return .connect(connect(body), reference)
        case "subscribe": return channel { .subscribe(CentrifugeJSON.subscription($0, body), reference) }
        case "unsubscribe": return channel { .unsubscribe(channel: $0, reference) }
        case "publish":
            return channel {
                .publish(
                    PublishCommand(
                        channel: $0, payload: (body["data"] ?? .null).serialized(),
                        messageID: CentrifugeJSON.text(body["idempotency_key"])), reference)
            }
        case "rpc":
            guard let method = body["method"]?.stringValue else {
                return .malformed(reason: "rpc without a method", reference)
            }
            return .call(method: method, parameters: (body["data"] ?? .null).serialized(), reference)
        case "send": return .send(payload: (body["data"] ?? .null).serialized())
        case "presence": return channel { .presence(channel: $0, reference) }
        case "presence_stats": return channel { .presenceStatistics(channel: $0, reference) }
        case "history": return channel { .history(CentrifugeJSON.history($0, body), reference) }
        case "refresh": return .refresh(token: body["token"]?.stringValue ?? "", reference)
        case "sub_refresh":
            return channel {
                .subscriptionRefresh(channel: $0, token: body["token"]?.stringValue ?? "", reference)
            }
        case "ping": return .ping(reference)
        default: return .unknown(name: name, reference)
        }
    }

    private func connect(_ body: JSONValue) -> ConnectCommand {
        let subscriptions = body["subs"]?.objectValue.map { members in
            members.map { CentrifugeJSON.subscription($0.key, $0.value) }
        }
        return ConnectCommand(
            token: CentrifugeJSON.text(body["token"]) ?? tokenOfAddress, name: body["name"]?.stringValue,
            subscriptions: subscriptions ?? [],
            trace: CentrifugeJSON.trace(body["headers"]))
    }

    /// Browsers cannot send headers with a WebSocket's handshake; the protocol has a map in their place.
    private static func trace(_ headers: JSONValue?) -> TraceContext? {
        guard let headers = headers?.objectValue else { return nil }
        func header(_ name: String) -> String? { headers.first { $0.key.lowercased() == name }?.value.stringValue }
        return TraceContext(parent: header(HeaderName.traceParent), state: header(HeaderName.traceState))
    }

    private static func subscription(_ channel: String, _ body: JSONValue) -> SubscribeCommand {
        SubscribeCommand(
            channel: channel, recoverFrom: body["recover"]?.boolValue == true ? position(body) : nil,
            wantsJoinLeave: body["join_leave"]?.boolValue ?? false, data: body["data"]?.serialized(),
            token: text(body["token"]))
    }

    /// An empty text is none, as in Protocol Buffers.
    private static func text(_ value: JSONValue?) -> String? { value?.stringValue.flatMap { $0.isEmpty ? nil : $0 } }

    private static func position(_ body: JSONValue) -> StreamPosition {
        StreamPosition(
            epoch: body["epoch"]?.stringValue ?? "",
            offset: body["offset"]?.integerValue.flatMap { UInt64(exactly: $0) } ?? 0)
    }

    private static func history(_ channel: String, _ body: JSONValue) -> HistoryCommand {
        HistoryCommand(
            channel: channel, limit: body["limit"]?.integerValue.flatMap { Int(exactly: $0) } ?? 0,
            since: body["since"]?.objectValue == nil ? nil : position(body["since"] ?? .null),
            isReversed: body["reverse"]?.boolValue ?? false)
    }

    // MARK: Encoding

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? {
        switch message {
        case .connected(let result, let reference):
            return CentrifugeJSON.reply(reference, "connect", CentrifugeJSON.connectResult(result))
        case .subscribed(_, let result, let reference):
            return CentrifugeJSON.reply(reference, "subscribe", CentrifugeJSON.subscribeResult(result))
        case .unsubscribed(_, let reference): return CentrifugeJSON.reply(reference, "unsubscribe", Array("{}".utf8))
        case .published(let reference, _): return CentrifugeJSON.reply(reference, "publish", Array("{}".utf8))
        case .callResult(let payload, let reference):
            var body = JSONObjectWriter(reserving: payload.count + 16)
            body.add("data", text: payload)
            return CentrifugeJSON.reply(reference, "rpc", body.finish())
        case .presence(let clients, let reference):
            let members = clients.map { ($0.client, CentrifugeJSON.info($0)) }
            let body: JSONValue = ["presence": .object(JSONObject(members))]
            return CentrifugeJSON.reply(reference, "presence", body.serialized())
        case .presenceStatistics(let clients, let users, let reference):
            let body: JSONValue = ["num_clients": .integer(Int64(clients)), "num_users": .integer(Int64(users))]
            return CentrifugeJSON.reply(reference, "presence_stats", body.serialized())
        case .history(let publications, let position, let reference):
            var body = JSONObjectWriter()
            body.add("publications", texts: publications.map(CentrifugeJSON.publication))
            body.add("epoch", position.epoch)
            body.add("offset", position.offset)
            return CentrifugeJSON.reply(reference, "history", body.finish())
        case .refreshed(let expiry, let reference):
            return CentrifugeJSON.reply(reference, "refresh", CentrifugeJSON.expiryMembers(expiry).serialized())
        case .subscriptionRefreshed(let expiry, let reference):
            return CentrifugeJSON.reply(reference, "sub_refresh", CentrifugeJSON.expiryMembers(expiry).serialized())
        case .refreshedByServer(let expiry):
            return CentrifugeJSON.push(nil, "refresh", CentrifugeJSON.expiryMembers(expiry).serialized())
        case .pong(let reference): return CentrifugeJSON.reply(reference, "ping", Array("{}".utf8))
        case .failure(let failure, let reference):
            var body = JSONObjectWriter()
            body.add("code", UInt64(failure.code))
            body.add("message", failure.message)
            if failure.isTemporary { body.add("temporary", true) }
            return CentrifugeJSON.reply(reference, "error", body.finish())
        case .ping: return Array("{}".utf8)
        case .subscribedByServer(let channel, let result):
            return CentrifugeJSON.push(channel, "subscribe", CentrifugeJSON.subscribeResult(result))
        case .unsubscribedByServer(let channel, let reason):
            let body: JSONValue = ["code": .integer(Int64(reason.code)), "reason": .string(reason.reason)]
            return CentrifugeJSON.push(channel, "unsubscribe", body.serialized())
        case .members: return nil
        case .dropped(let channel, let count):
            let data: JSONValue = ["type": "dropped", "channel": .string(channel), "count": .integer(Int64(count))]
            return CentrifugeJSON.push(nil, "message", JSONValue.object(["data": data]).serialized())
        }
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        push(label, "pub", self.publication(publication))
    }

    /// A line for each change: a frame may hold many.
    package static func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]? {
        var lines: [UInt8] = []
        lines.reserveCapacity(changes.count * 128)
        for change in changes {
            if !lines.isEmpty { lines.append(UInt8(ascii: "\n")) }
            var body = JSONObjectWriter(reserving: 128)
            body.add("info", info(change.info))
            lines.append(contentsOf: push(label, change.kind == .joined ? "join" : "leave", body.finish()))
        }
        return lines
    }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect { disconnect }

    private static func reply(_ reference: CommandReference, _ name: StaticString, _ body: [UInt8]) -> [UInt8] {
        var writer = JSONObjectWriter(reserving: body.count + 32)
        // An answer to what could not be read carries no id.
        if reference != 0 { writer.add("id", UInt64(reference)) }
        writer.add(name, text: body)
        return writer.finish()
    }

    private static func push(_ channel: String?, _ name: StaticString, _ body: [UInt8]) -> [UInt8] {
        var inner = JSONObjectWriter(reserving: body.count + 64)
        if let channel { inner.add("channel", channel) }
        inner.add(name, text: body)
        var outer = JSONObjectWriter(reserving: body.count + 80)
        outer.add("push", text: inner.finish())
        return outer.finish()
    }

    private static func connectResult(_ result: ConnectResult) -> [UInt8] {
        var body = JSONObjectWriter(reserving: 256)
        body.add("client", result.client)
        body.add("version", result.version)
        if case .after(let seconds) = result.expiry {
            body.add("expires", true)
            body.add("ttl", UInt64(max(0, seconds)))
        }
        if !result.subscriptions.isEmpty {
            var subscriptions: [UInt8] = [UInt8(ascii: "{")]
            for (index, (channel, subscription)) in result.subscriptions.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { subscriptions.append(UInt8(ascii: ",")) }
                JSONValue.write(string: channel, to: &subscriptions)
                subscriptions.append(UInt8(ascii: ":"))
                subscriptions.append(contentsOf: subscribeResult(subscription))
            }
            subscriptions.append(UInt8(ascii: "}"))
            body.add("subs", text: subscriptions)
        }
        body.add("ping", UInt64(result.pingInterval))
        body.add("pong", true)
        if !result.session.isEmpty { body.add("session", result.session) }
        if !result.node.isEmpty { body.add("node", result.node) }
        return body.finish()
    }

    private static func subscribeResult(_ result: SubscribeResult) -> [UInt8] {
        var body = JSONObjectWriter()
        if let seconds = result.expiresIn {
            body.add("expires", true)
            body.add("ttl", UInt64(max(0, seconds)))
        }
        if let position = result.position {
            body.add("recoverable", true)
            body.add("positioned", true)
            body.add("epoch", position.epoch)
            if !result.publications.isEmpty {
                body.add("publications", texts: result.publications.map(publication))
            }
            if result.recovery == .recovered { body.add("recovered", true) }
            body.add("offset", position.offset)
        }
        if result.recovery != .notAsked { body.add("was_recovering", true) }
        if let data = result.data { body.add("data", text: data) }
        return body.finish()
    }

    private static func publication(_ publication: Publication) -> [UInt8] {
        var body = JSONObjectWriter(reserving: publication.payload.count + 64)
        body.add("data", text: publication.payload)
        if let publisher = publication.publisher { body.add("info", info(publisher)) }
        if let offset = publication.offset { body.add("offset", offset) }
        let tags = publication.allTags
        if !tags.isEmpty { body.add("tags", .object(JSONObject(tags.map { ($0.key, .string($0.value)) }))) }
        return body.finish()
    }

    private static func info(_ info: ClientInfo) -> JSONValue {
        var members: JSONObject = ["user": .string(info.user), "client": .string(info.client)]
        members["conn_info"] = info.info
        return .object(members)
    }

    private static func expiryMembers(_ expiry: ConnectionExpiry) -> JSONValue {
        switch expiry {
        case .never: [:]
        case .after(let seconds): ["expires": true, "ttl": .integer(Int64(seconds))]
        }
    }
}
