internal import Events
internal import GatewaySession
internal import GatewayWire
internal import JSON

/// Orders for connections of a user, on whatever gateway they are: `subscribe`, `unsubscribe`, `disconnect`, `refresh`.
extension ServerAPI {
    func subscribe(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let channel = try parameters.channel("channel", in: services.policy)
        for option in ["info", "b64info", "override"] where parameters.has(option) {
            // What is not done must not look done.
            throw ClientFailure(
                code: 108,
                message: "not available: \(option); who is present is told by tokens, and options are the namespace's")
        }
        return try await order(
            .subscribe(
                channel.name, from: try parameters.position("recover_since"), data: try parameters.payload("data")),
            parameters)
    }

    func unsubscribe(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        // Without a channel, from all of them.
        let channel =
            try parameters.text("channel") == nil ? nil : try parameters.channel("channel", in: services.policy).name
        return try await order(.unsubscribe(channel), parameters)
    }

    func disconnect(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        var disconnect = Disconnect.forced
        if let own = try parameters.object("disconnect") {
            let code = try own.integer("code") ?? 0
            let reason = try own.string("reason") ?? ""
            guard code == 0 || (3000...4999).contains(code) else {
                throw .badRequest("disconnect.code is from 3000 to 4999")
            }
            guard reason.utf8.count <= ServerAPI.maximumReasonLength else {
                throw .badRequest("disconnect.reason has at most \(ServerAPI.maximumReasonLength) bytes")
            }
            disconnect = Disconnect(
                code: code == 0 ? disconnect.code : UInt16(code), reason: reason.isEmpty ? disconnect.reason : reason)
        }
        return try await order(.disconnect(disconnect), parameters)
    }

    /// What fits into a WebSocket's close frame beside the code (RFC 6455, section 5.5).
    private static let maximumReasonLength = 123

    func refresh(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        if try parameters.boolean("expired") ?? false { return try await order(.disconnect(.expired), parameters) }
        let end = try parameters.integer("expire_at") ?? 0
        guard end >= 0 else { throw .badRequest("expire_at is negative") }
        return try await order(.refresh(expiresAt: end == 0 ? nil : Timestamp(seconds: end)), parameters)
    }

    private func order(_ order: ControlOrder, _ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let user = try parameters.string("user")
        let selection = ConnectionSelection(
            // The empty user is whoever has no token; of those, only one at a time.
            user: user, client: try parameters.text("client"), session: try parameters.text("session"),
            excluded: try parameters.strings("whitelist") ?? [])
        guard user?.isEmpty == false || selection.client != nil || selection.session != nil else {
            throw .badRequest("user is missing")
        }
        _ = await services.control.ask(.order(order, selection))
        return [:]
    }
}
