internal import EventBus
internal import Events
internal import Foundation
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
        let id = (parameters["id"] ?? parameters["idempotency_key"])
            .flatMap { $0.stringValue ?? $0.integerValue.map(String.init) }
        let event = CloudEvent(
            id: id ?? UUID().uuidString.lowercased(), source: try parameters.text("source") ?? "apus/gateway",
            type: type, time: services.clock.time(), data: data.serialized())
        try ServerAPI.check(event)
        do {
            try await services.appendEvent(event, id != nil)
        } catch {
            throw .unavailable("the event could not be stored; try again")
        }
        return ["id": .string(event.id)]
    }

    /// Refuses here, where its sender sees it, what no service could read.
    private static func check(_ event: CloudEvent) throws(ClientFailure) {
        guard (try? ChannelName(namespace: ChannelName.defaultNamespace, name: event.type)) != nil else {
            throw .badRequest("type has 1 to 200 bytes and no empty part between dots, as in order.status_changed")
        }
        do throws(IncomingEventError) {
            _ = try IncomingEvent(headers: event.binaryHeaders, payload: event.data, subjectType: event.type)
        } catch {
            throw .badRequest(error.description)
        }
    }

    func task(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let reply = try await services.backend.call(
            "tasks.submit", parameters.all.serialized(),
            Caller(user: try parameters.string("user"), roles: ["admin"]), trace: trace)
        return (try? JSONValue(parsing: reply)) ?? [:]
    }
}
