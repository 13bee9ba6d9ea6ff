internal import Events
internal import JSON

/// Phoenix Channels, as phoenix.js and its relatives speak them: github.com/phoenixframework/phoenix, `lib/phoenix/socket.ex`.
///
/// ```
/// → ["1","1","room:lobby","phx_join",{}]
/// ← ["1","1","room:lobby","phx_reply",{"status":"ok","response":{}}]
/// → ["1","2","room:lobby","shout",{"text":"hi"}]          publishes an event `shout`
/// ← ["1","2","room:lobby","phx_reply",{"status":"ok","response":{}}]
/// ← [null,null,"room:lobby","shout",{"text":"hi"}]
/// → ["1","3","room:lobby","rpc:notifications.list",{}]    calls a service; the reply's response is its result
/// ```
/// A topic is a channel's name. Payloads are any JSON, as phoenix.js itself has it, though its users send objects.
///
/// A client drops what carries another join's reference than its present one; a message to all carries none, so that it is
/// the same for all. The codec knows of each topic which join is the present one, and of each command what its answer must
/// repeat.
package struct Phoenix<Format: PhoenixFormat>: WireProtocol {
    /// A topic that the client has joined or is joining.
    private struct Topic {
        var channel: String
        var joinReference: JSONValue
        /// The command that joined it.
        var join: CommandReference
        /// Whether the client's own messages are kept from it.
        var excludesSender: Bool
        var isAlias: Bool
    }

    /// A command that has no answer yet.
    private struct Awaited {
        enum Kind {
            /// `previous` is what was joined before, for a join that is refused before that has ended.
            case join(previous: Topic?, ending: CommandReference?, wantsPosition: Bool)
            /// The end of what a join replaces.
            case end(of: Topic, by: CommandReference)
            case leave(Topic)
            case push
            /// A push that reached no channel.
            case unmatched
        }

        var kind: Kind
        var topic: String
        var reference: JSONValue
        var joinReference: JSONValue
    }

    private var topics: [String: Topic] = [:]
    private var awaited: [CommandReference: Awaited] = [:]
    private var lastReference: CommandReference = 0
    private let aliasesSupabase: Bool

    /// - Parameter aliasesSupabase: whether `realtime:room:lobby`, which Supabase's clients make of `room:lobby`, is that
    ///   channel; for gateways without a namespace `realtime`.
    package init(aliasesSupabase: Bool = false) { self.aliasesSupabase = aliasesSupabase }

    // MARK: Decoding

    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] {
        let message = try Format.decode(frame)
        if message.topic == PhoenixName.heartbeatTopic {
            guard message.event == PhoenixName.heartbeat else { return unmatched(message) }
            return [.ping(expect(.push, message))]
        }
        switch message.event {
        case PhoenixName.join: return join(message)
        case PhoenixName.leave: return leave(message)
        default: return push(message)
        }
    }

    private mutating func expect(_ kind: Awaited.Kind, _ message: PhoenixMessage) -> CommandReference {
        // 0 is: no answer is wanted.
        lastReference = lastReference == .max ? 1 : lastReference + 1
        awaited[lastReference] = Awaited(
            kind: kind, topic: message.topic, reference: message.reference, joinReference: message.joinReference)
        return lastReference
    }

    private mutating func unmatched(_ message: PhoenixMessage) -> [ClientCommand] {
        [.malformed(reason: PhoenixName.unmatchedTopic, expect(.unmatched, message))]
    }

    private mutating func join(_ message: PhoenixMessage) -> [ClientCommand] {
        var text: [UInt8]?
        if case .json(let bytes) = message.payload { text = bytes }
        let payload = text.flatMap { try? JSONValue(parsing: $0) } ?? .null
        let isAlias = aliasesSupabase && message.topic.hasPrefix(PhoenixObjects.supabasePrefix)
        let previous = topics[message.topic]
        let wantsPosition = payload["recover"].map { !$0.isNull } ?? false
        let reference = expect(.join(previous: previous, ending: nil, wantsPosition: wantsPosition), message)
        let topic = Topic(
            channel: isAlias ? String(message.topic.dropFirst(PhoenixObjects.supabasePrefix.count)) : message.topic,
            // Version 1 has no reference of joins of its own; the one of the message serves.
            joinReference: message.joinReference.isNull ? message.reference : message.joinReference,
            join: reference, excludesSender: payload["config"]?["broadcast"]?["self"]?.boolValue == false,
            isAlias: isAlias)
        var replacing: CommandReference?
        if let previous {
            let ending = expect(.end(of: previous, by: reference), message)
            awaited[reference]?.kind = .join(previous: previous, ending: ending, wantsPosition: wantsPosition)
            replacing = ending
        }
        topics[message.topic] = topic
        return [
            .subscribe(
                SubscribeCommand(
                    channel: topic.channel, label: message.topic, recoverFrom: Phoenix.position(payload["recover"]),
                    wantsPresence: payload["config"]?["presence"]?["enabled"]?.boolValue != false,
                    data: Phoenix.data(payload, text), connectionToken: Phoenix.token(payload), replacing: replacing),
                reference)
        ]
    }

    /// `{"epoch":"…","offset":7}`, from an earlier join's answer.
    private static func position(_ value: JSONValue?) -> StreamPosition? {
        guard let epoch = value?["epoch"]?.stringValue,
            let offset = value?["offset"]?.integerValue.flatMap({ UInt64(exactly: $0) })
        else { return nil }
        return StreamPosition(epoch: epoch, offset: offset)
    }

    /// What whoever decides about the join is given: the payload without the token, which is nobody else's business.
    private static func data(_ payload: JSONValue, _ text: [UInt8]?) -> [UInt8]? {
        guard var members = payload.objectValue else { return payload.isNull ? nil : text }
        guard members[PhoenixName.token] != nil else { return members.isEmpty ? nil : text }
        members[PhoenixName.token] = nil
        return members.isEmpty ? nil : JSONValue.object(members).serialized()
    }

    private static func token(_ payload: JSONValue) -> String? {
        payload[PhoenixName.token]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    private mutating func leave(_ message: PhoenixMessage) -> [ClientCommand] {
        // Leaving what is not joined has come true already.
        guard let topic = topics[message.topic] else { return [.ping(expect(.push, message))] }
        // An earlier join of the topic has ended when the present one began, and its client was told.
        guard message.joinReference.isNull || message.joinReference == topic.joinReference else { return [] }
        return [.unsubscribe(channel: topic.channel, expect(.leave(topic), message))]
    }

    private mutating func push(_ message: PhoenixMessage) -> [ClientCommand] {
        guard let topic = topics[message.topic] else { return unmatched(message) }
        let reference = expect(.push, message)
        guard !PhoenixName.isReserved(message.event) else {
            return [.malformed(reason: "the event \(message.event) is the protocol's own", reference)]
        }
        if let refusal = Format.refusal(message.event, topic: message.topic) {
            return [.malformed(reason: refusal, reference)]
        }
        let payload: [UInt8]
        switch message.payload {
        case .json(let text): payload = text
        case .binary(let bytes):
            guard let text = JSONText.singleLine(value: bytes) else {
                return [.malformed(reason: "a binary payload must be JSON text", reference)]
            }
            payload = text
        }
        if message.event.hasPrefix(PhoenixName.callPrefix) {
            let method = String(message.event.dropFirst(PhoenixName.callPrefix.count))
            return [.call(method: method, parameters: payload, reference)]
        }
        if message.event == PhoenixName.token {
            guard let token = (try? JSONValue(parsing: payload)).flatMap(Phoenix.token) else {
                return [.malformed(reason: "an access_token without a token", reference)]
            }
            return [.refresh(token: token, reference)]
        }
        let published = Format.published(message.event, payload, topic: message.topic, isAlias: topic.isAlias)
        return [
            .publish(
                PublishCommand(
                    channel: topic.channel, payload: published.payload, event: published.event,
                    excludesSender: topic.excludesSender), reference)
        ]
    }

    // MARK: Encoding

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? { encodeFrames(message).first }

    package mutating func encodeFrames(_ message: ServerMessage) -> [[UInt8]] {
        switch message {
        case .subscribed(let label, let result, let reference): return joined(label, result, reference)
        case .unsubscribed(_, let reference): return ended(reference)
        case .published(let reference, let reply): return answer(reference, reply ?? PhoenixName.empty)
        case .callResult(let payload, let reference): return answer(reference, payload)
        case .refreshed(_, let reference), .pong(let reference): return answer(reference, PhoenixName.empty)
        case .failure(let failure, let reference): return refused(failure, reference)
        case .unsubscribedByServer(let label, let reason): return endedByServer(label, reason)
        case .members(let label, let members):
            return [
                Format.encode(
                    joinReference: topics[label]?.joinReference ?? .null, reference: .null, topic: label,
                    event: PhoenixName.presenceState, payload: PhoenixPresence.state(members))
            ]
        case .dropped(let label, let count):
            var payload = JSONWriter(reserving: 128)
            payload.writeDropped(channel: label, count: count)
            return [
                Format.encode(
                    joinReference: .null, reference: .null, topic: label, event: "dropped", payload: payload.finish())
            ]
        // What no command of this protocol asks for, and subscriptions that the client has no topic for.
        case .connected, .presence, .presenceStatistics, .history, .ping, .subscribedByServer, .subscriptionRefreshed,
            .refreshedByServer:
            return []
        }
    }
}

extension Phoenix {
    private func frame(_ awaited: Awaited, _ status: String, _ response: [UInt8]) -> [UInt8] {
        var payload = JSONWriter(reserving: response.count + 40)
        payload.beginObject()
        payload.member("status", status)
        payload.member("response", text: response)
        payload.endObject()
        return Format.encode(
            joinReference: awaited.joinReference, reference: awaited.reference, topic: awaited.topic,
            event: PhoenixName.reply, payload: payload.finish())
    }

    private mutating func answer(_ reference: CommandReference, _ response: [UInt8]) -> [[UInt8]] {
        awaited.removeValue(forKey: reference).map { [frame($0, "ok", response)] } ?? []
    }

    private mutating func joined(
        _ label: String, _ result: SubscribeResult, _ reference: CommandReference
    ) -> [[UInt8]] {
        guard let join = awaited.removeValue(forKey: reference),
            case .join(_, let ending, let wantsPosition) = join.kind
        else { return [] }
        if let ending { awaited[ending] = nil }
        let response = wantsPosition ? Phoenix.response(result) : result.data ?? PhoenixName.empty
        return [frame(join, "ok", response)]
            + result.publications.map { Phoenix.encodeBroadcast($0, label: label) }
    }

    /// The answer to a join that asks for its position, on channels that have one.
    private static func response(_ result: SubscribeResult) -> [UInt8] {
        let data = result.data.flatMap { try? JSONValue(parsing: $0) }
        var members = data?.objectValue ?? [:]
        if let data, data.objectValue == nil { members["data"] = data }
        if let position = result.position {
            members["position"] = [
                "epoch": .string(position.epoch), "offset": .integer(Int64(clamping: position.offset)),
            ]
        }
        if result.recovery != .notAsked { members["recovered"] = .bool(result.recovery == .recovered) }
        return JSONValue.object(members).serialized()
    }

    /// A subscription has ended, by a leave or since the topic was joined anew.
    private mutating func ended(_ reference: CommandReference) -> [[UInt8]] {
        guard let command = awaited.removeValue(forKey: reference) else { return [] }
        switch command.kind {
        case .leave(let topic):
            // Its join may have no answer yet, and gets none any more.
            awaited[topic.join] = nil
            if topics[command.topic]?.join == topic.join { topics[command.topic] = nil }
            return [
                frame(command, "ok", PhoenixName.empty), Phoenix.close(topic, command.topic, PhoenixName.close),
            ]
        case .end(let topic, let join):
            awaited[topic.join] = nil
            if case .join(_, _, let wantsPosition)? = awaited[join]?.kind {
                awaited[join]?.kind = .join(previous: nil, ending: nil, wantsPosition: wantsPosition)
            }
            return [Phoenix.close(topic, command.topic, PhoenixName.close)]
        case .join, .push, .unmatched: return []
        }
    }

    /// A client joins again by itself after `phx_error`, and does not after `phx_close`.
    private mutating func endedByServer(_ label: String, _ reason: UnsubscribeReason) -> [[UInt8]] {
        guard let topic = topics.removeValue(forKey: label) else { return [] }
        awaited[topic.join] = nil
        return [Phoenix.close(topic, label, reason.isToBeRepeated ? PhoenixName.error : PhoenixName.close)]
    }

    private static func close(_ topic: Topic, _ label: String, _ event: String) -> [UInt8] {
        Format.encode(
            joinReference: topic.joinReference, reference: topic.joinReference, topic: label, event: event,
            payload: PhoenixName.empty)
    }

    private mutating func refused(_ failure: ClientFailure, _ reference: CommandReference) -> [[UInt8]] {
        guard let command = awaited.removeValue(forKey: reference) else { return [] }
        var reason = failure.message
        switch command.kind {
        case .join(let previous, let ending, _):
            if let ending { awaited[ending] = nil }
            topics[command.topic] = previous
            if failure == .unknownChannel { reason = PhoenixName.unmatchedTopic }
        case .end: return []
        case .unmatched: reason = PhoenixName.unmatchedTopic
        case .leave, .push: break
        }
        var response: JSONObject = ["reason": .string(reason)]
        // The codes of services, which are HTTP's; our own say nothing to a client of this protocol.
        if (400..<600).contains(failure.code) { response["code"] = .integer(Int64(failure.code)) }
        response["retry_after"] = failure.retryAfterSeconds.map { .integer(Int64($0)) }
        return [frame(command, "error", JSONValue.object(response).serialized())]
    }

    // MARK: For everybody

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        let (event, payload) = Format.publication(publication, topic: label)
        return Format.encode(joinReference: .null, reference: .null, topic: label, event: event, payload: payload)
    }

    package static func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]? {
        Format.encode(
            joinReference: .null, reference: .null, topic: label, event: PhoenixName.presenceDifference,
            payload: PhoenixPresence.difference(changes))
    }

    /// phoenix.js comes back after every code but 1000. `1001` would do for a server that leaves, but clients on Python's
    /// `websockets` take it for a good end, so it is `1012`, "service restart".
    package static func closeCode(_ disconnect: Disconnect) -> Disconnect {
        switch disconnect {
        case .shutdown: Disconnect(code: 1012, reason: "service restart")
        case .badRequest: Disconnect(code: 1008, reason: disconnect.reason)
        default:
            switch disconnect.code {
            case 3500..<4000, 4500..<5000: Disconnect(code: 1000, reason: disconnect.reason)
            default: disconnect
            }
        }
    }
}

/// The words of the protocol.
private enum PhoenixName {
    static let heartbeatTopic = "phoenix"
    static let heartbeat = "heartbeat"
    static let join = "phx_join"
    static let leave = "phx_leave"
    static let reply = "phx_reply"
    static let close = "phx_close"
    static let error = "phx_error"
    static let presenceState = "presence_state"
    static let presenceDifference = "presence_diff"
    /// Pushes of Supabase's clients that hold a token, and the member that does.
    static let token = "access_token"
    /// What begins an event that is a call: `rpc:notifications.list`.
    static let callPrefix = "rpc:"
    static let unmatchedTopic = "unmatched topic"
    static let empty = Array("{}".utf8)

    /// Events that say something about a topic itself: whoever could publish them could end other clients' subscriptions.
    static func isReserved(_ event: String) -> Bool {
        event.hasPrefix("phx_") || event.hasPrefix("chan_reply_") || event == presenceState
            || event == presenceDifference
    }
}

extension UnsubscribeReason {
    /// Whether a client that subscribes again may succeed.
    fileprivate var isToBeRepeated: Bool { code >= 2500 }
}
