internal import Events
internal import JSON

/// One line of a client, `{"id":1,"subscribe":{"channel":"room:lobby"}}`: an id, and a body named by its method.
///
/// Its texts are slices of the frame, so that only what a command keeps is copied.
struct CentrifugeCommand {
    private enum Form {
        case object
        case null
        case other
    }

    private var reference: CommandReference = 0
    private var method: JSONReader.Slice?
    private var form: Form?
    private var body = CentrifugeMembers()
    private var isEmpty = true

    /// Reads the members of an object that was begun.
    init(_ reader: inout JSONReader) throws(JSONError) {
        while let name = try reader.nextName() {
            isEmpty = false
            if case "id" = name {
                reference = try reader.integer().flatMap { UInt32(exactly: $0) } ?? 0
            } else if form == nil || method?.string == name.string {
                if method == nil { method = name }
                // Of several bodies the last counts.
                if form != nil { body = CentrifugeMembers() }
                form = reader.isAtNull() ? .null : .other
                if try reader.beginObject() {
                    form = .object
                    try body.read(&reader)
                }
            } else {
                try reader.skip()
            }
        }
    }

    /// - Parameter tokenOfAddress: stands in for the token that a connect lacks.
    func clientCommand(tokenOfAddress: String?) -> ClientCommand {
        if isEmpty { return .pong }
        guard let method else { return .malformed(reason: "a command without a method", reference) }
        // Only a send wants no answer; a reply to anything else without an id could not be told from another.
        if reference == 0 {
            guard case "send" = method else { return .malformed(reason: "a command without an id", 0) }
        }
        guard form != .other else { return .malformed(reason: "\(method.string) is not an object", reference) }
        func channel(_ make: (String) -> ClientCommand) -> ClientCommand {
            guard let channel = body.channel?.string else {
                return .malformed(reason: "\(method.string) without a channel", reference)
            }
            return make(channel)
        }
        switch method {
        case "connect": return .connect(body.connect(tokenOfAddress: tokenOfAddress), reference)
        case "subscribe": return channel { .subscribe(body.subscription($0), reference) }
        case "unsubscribe": return channel { .unsubscribe(channel: $0, reference) }
        case "publish":
            return channel {
                .publish(
                    PublishCommand(channel: $0, payload: body.payload, messageID: body.idempotencyKey?.nonEmpty),
                    reference)
            }
        case "rpc":
            guard let called = body.method?.string else {
                return .malformed(reason: "rpc without a method", reference)
            }
            return .call(method: called, parameters: body.payload, reference)
        case "send": return .send(payload: body.payload)
        case "presence": return channel { .presence(channel: $0, reference) }
        case "presence_stats": return channel { .presenceStatistics(channel: $0, reference) }
        case "history": return channel { .history(body.history($0), reference) }
        case "refresh": return .refresh(token: body.token?.string ?? "", reference)
        case "sub_refresh":
            return channel { .subscriptionRefresh(channel: $0, token: body.token?.string ?? "", reference) }
        case "ping": return .ping(reference)
        default: return .unknown(name: method.string, reference)
        }
    }
}
