internal import EventBus
internal import Events
internal import GatewaySession
internal import GatewayWire
internal import JSON

/// What is Apus's own: `token`, `event`, `task`.
extension ServerAPI {
    func token(_ parameters: APIParameters) throws(ClientFailure) -> JSONValue {
        guard let issue = services.issueToken else {
            throw ClientFailure(code: 108, message: "not available: tokens are made only with gateway.token.secret")
        }
        guard let user = parameters["user"].map({ $0.stringValue ?? $0.description }), !user.isEmpty else {
            throw .badRequest("user is missing")
        }
        let roles = try parameters.strings("roles") ?? []
        guard
            let lifetime = parameters["ttl"].map({ DurationText.parse($0.stringValue ?? $0.description) })
                ?? .seconds(86_400)
        else { throw .badRequest("ttl is not a duration such as 30s, 24h or 7d") }
        let expiry = services.clock.time().advanced(by: lifetime)
        return ["token": .string(issue(user, roles, expiry)), "expires_at": .string(expiry.description)]
    }

    func event(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        guard let type = try parameters.text("type") else { throw .badRequest("type is missing") }
        guard let data = parameters["data"] else { throw .badRequest("data is missing") }
        do {
            try await services.appendEvent(type, data)
        } catch {
            throw .unavailable("the event could not be stored; try again")
        }
        return [:]
    }

    func task(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let reply = try await services.backend.call(
            "tasks.submit", parameters.all.serialized(),
            Caller(user: try parameters.string("user"), roles: ["admin"]))
        return (try? JSONValue(parsing: reply)) ?? [:]
    }
}
