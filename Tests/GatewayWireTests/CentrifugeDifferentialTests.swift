import Events
import GatewayWire
import JSON
import TestKit
import Testing

/// The codec reads frames by pieces; here they are parsed as a whole and looked into, and both must understand the same.
@Suite("A frame, read by pieces and as a whole")
struct CentrifugeDifferentialTests {
    /// The same commands with payloads as parsing and serialising leaves them.
    private func normalized(_ commands: [ClientCommand]?) -> [ClientCommand]? {
        func text(_ bytes: [UInt8]) -> [UInt8] { (try? JSONValue(parsing: bytes))?.serialized() ?? Array("none".utf8) }
        func subscription(_ command: SubscribeCommand) -> SubscribeCommand {
            var command = command
            command.data = command.data.map(text)
            return command
        }
        return commands?.map { command in
            switch command {
            case .connect(var connect, let reference):
                connect.subscriptions = connect.subscriptions.map(subscription)
                return .connect(connect, reference)
            case .subscribe(let command, let reference): return .subscribe(subscription(command), reference)
            case .publish(var publish, let reference):
                publish.payload = text(publish.payload)
                return .publish(publish, reference)
            case .call(let method, let parameters, let reference):
                return .call(method: method, parameters: text(parameters), reference)
            case .send(let payload): return .send(payload: text(payload))
            default: return command
            }
        }
    }

    private func compare(_ frame: [UInt8], _ comment: String) {
        var codec = CentrifugeJSON()
        let commands = try? codec.decode(frame)
        let text = String(decoding: frame, as: UTF8.self)
        #expect(normalized(commands) == normalized(try? PlainCentrifuge().decode(frame)), "\(comment): \(text)")
    }

    private static let frames = (CentrifugeJSONTests.fixtures + CentrifugeJSONTests.oddities).map(\.frame)

    @Test("as clients send them", arguments: frames)
    func valid(frame: String) { compare(Array(frame.utf8), "valid") }

    @Test("mutated", arguments: 0..<300 as Range<UInt64>)
    func mutated(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for frame in Self.frames { compare(Mutation.mutate(Array(frame.utf8), using: &generator), "seed \(seed)") }
    }

    @Test("with members of other kinds, doubled, exchanged and missing", arguments: 0..<300 as Range<UInt64>)
    func members(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let names = [
            "channel", "token", "data", "recover", "epoch", "offset", "since", "limit", "reverse", "method", "name",
            "subs", "headers", "join_leave", "idempotency_key", "other",
        ]
        let methods = [
            "connect", "subscribe", "unsubscribe", "publish", "rpc", "send", "presence", "presence_stats", "history",
            "refresh", "sub_refresh", "ping", "what", "id",
        ]
        let values = [
            "null", "true", "false", "0", "7", "-7", "7.0", "7.5", "1e2", #""""#, #""text""#, #""room:\u00e4""#, "[]",
            #"{"epoch":"e","offset":7}"#, #"{"channel":{"token":"t","data":[1.0]},"c":{"recover":true,"offset":3}}"#,
            #"{"Traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"a=b"}"#,
        ]
        func object() -> String {
            let members = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                let name = names.randomElement(using: &generator)!
                return "\"\(name)\":\(values.randomElement(using: &generator)!)"
            }
            return "{\(members.joined(separator: ","))}"
        }
        for _ in 0..<20 {
            let members = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                let isObject = Int.random(in: 0...3, using: &generator) > 0
                return "\"\(methods.randomElement(using: &generator)!)\":"
                    + (isObject ? object() : values.randomElement(using: &generator)!)
            }
            compare(
                Array("{\((["\"id\":1"] + members).shuffled(using: &generator).joined(separator: ","))}".utf8),
                "seed \(seed)")
        }
    }
}

/// The protocol's commands, taken from values.
private struct PlainCentrifuge {
    func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] {
        var commands: [ClientCommand] = []
        for line in frame.split(separator: UInt8(ascii: "\n")) where !PlainCentrifuge.isBlank(line) {
            guard commands.count < 256 else {
                throw WireError("more than 256 commands in a frame")
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
        case "subscribe": return channel { .subscribe(PlainCentrifuge.subscription($0, body), reference) }
        case "unsubscribe": return channel { .unsubscribe(channel: $0, reference) }
        case "publish":
            return channel {
                .publish(
                    PublishCommand(
                        channel: $0, payload: (body["data"] ?? .null).serialized(),
                        messageID: PlainCentrifuge.text(body["idempotency_key"])), reference)
            }
        case "rpc":
            guard let method = body["method"]?.stringValue else {
                return .malformed(reason: "rpc without a method", reference)
            }
            return .call(method: method, parameters: (body["data"] ?? .null).serialized(), reference)
        case "send": return .send(payload: (body["data"] ?? .null).serialized())
        case "presence": return channel { .presence(channel: $0, reference) }
        case "presence_stats": return channel { .presenceStatistics(channel: $0, reference) }
        case "history": return channel { .history(PlainCentrifuge.history($0, body), reference) }
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
            members.map { PlainCentrifuge.subscription($0.key, $0.value) }
        }
        return ConnectCommand(
            token: PlainCentrifuge.text(body["token"]), name: body["name"]?.stringValue,
            subscriptions: subscriptions ?? [],
            trace: PlainCentrifuge.trace(body["headers"]))
    }

    /// Browsers cannot send headers with a WebSocket's handshake; the protocol has a map in their place.
    private static func trace(_ headers: JSONValue?) -> TraceContext? {
        guard let headers = headers?.objectValue else { return nil }
        func header(_ name: String) -> String? { headers.first { $0.key.lowercased() == name }?.value.stringValue }
        return TraceContext(parent: header("traceparent"), state: header("tracestate"))
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
}
