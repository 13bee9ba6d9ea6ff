internal import EventBus
internal import Events
internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON

/// `POST /api/<method>`: the server HTTP API for backends, with the method names, parameters and replies of
/// Centrifugo's, so that its clients work, and Apus's own `token`, `event` and `task`.
///
/// Every answer is 200 with `{"result":…}` or `{"error":{"code","message"}}`, but for a wrong key: 401.
struct ServerAPI {
    let key: String?
    let services: EdgeServices

    func add(to router: Router<BasicRequestContext>) {
        router.post("api/:method") { request, context async throws -> Response in
            try authorize(request)
            let parameters = try await request.json()
            return .json(await answer(context.parameters.get("method") ?? "", parameters))
        }
    }

    private func authorize(_ request: Request) throws {
        guard let key else {
            throw HTTPFailure(.unauthorized, "the server API is off: set gateway.api.key")
        }
        let given: String?
        if let header = request.headers[HTTPField.Name("X-API-Key")!] {
            given = header
        } else if let authorization = request.headers[.authorization], authorization.hasPrefix("apikey ") {
            given = String(authorization.dropFirst(7))
        } else {
            given = nil
        }
        guard let given, ServerAPI.isEqual(given, key) else {
            throw HTTPFailure(.unauthorized, "the API key is missing or wrong")
        }
    }

    /// Takes the same time wherever the first difference is.
    private static func isEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
    }

    private func answer(_ method: String, _ parameters: JSONValue) async -> JSONValue {
        do throws(ClientFailure) {
            return ["result": try await result(method, parameters)]
        } catch {
            return ["error": ["code": .integer(Int64(error.code)), "message": .string(error.message)]]
        }
    }

    private func result(_ method: String, _ parameters: JSONValue) async throws(ClientFailure) -> JSONValue {
        switch method {
        case "publish": return try await publish(parameters, on: try channel(parameters["channel"]))
        case "broadcast": return try await broadcast(parameters)
        case "presence":
            let members = services.presence.members(of: try channel(parameters["channel"]))
            return ["presence": .object(JSONObject(members.map { ($0.client, ServerAPI.info($0)) }))]
        case "presence_stats":
            let statistics = services.presence.statistics(of: try channel(parameters["channel"]))
            return [
                "num_clients": .integer(Int64(statistics.clients)), "num_users": .integer(Int64(statistics.users)),
            ]
        case "info":
            return [
                "nodes": [
                    ["uid": .string(services.node), "name": "apus-gateway", "version": .string(services.version)]
                ]
            ]
        case "batch": return try await batch(parameters)
        case "token": return try token(parameters)
        case "event": return try await event(parameters)
        case "task": return try await task(parameters)
        default: throw .methodNotFound
        }
    }

    private func channel(_ value: JSONValue?) throws(ClientFailure) -> ChannelName {
        guard let text = value?.stringValue else { throw .badRequest("channel is missing") }
        do {
            return try ChannelName(text)
        } catch {
            throw .badRequest("\(error)")
        }
    }

    // MARK: Publishing

    private func publish(_ parameters: JSONValue, on channel: ChannelName) async throws(ClientFailure) -> JSONValue {
        guard services.policy.namespaces[channel.namespace] != nil else { throw .unknownChannel }
        guard let data = parameters["data"] else { throw .badRequest("data is missing") }
        let event = parameters["event"]?.stringValue ?? parameters["tags"]?["event"]?.stringValue
        let offset = try await services.backend.publish(
            data.serialized(), on: channel, event: event, idempotencyKey: parameters["idempotency_key"]?.stringValue)
        guard let offset else { return [:] }
        var result: JSONObject = ["offset": .integer(Int64(clamping: offset))]
        result["epoch"] = await services.hub.epoch(of: channel.namespace).map { .string($0) }
        return .object(result)
    }

    private func broadcast(_ parameters: JSONValue) async throws(ClientFailure) -> JSONValue {
        guard let channels = parameters["channels"]?.arrayValue, !channels.isEmpty else {
            throw .badRequest("channels is missing or empty")
        }
        var responses: [JSONValue] = []
        for entry in channels {
            // Each channel has its own outcome, as in Centrifugo.
            do throws(ClientFailure) {
                responses.append(["result": try await publish(parameters, on: try channel(entry))])
            } catch {
                responses.append(["error": ["code": .integer(Int64(error.code)), "message": .string(error.message)]])
            }
        }
        return ["responses": .array(responses)]
    }

    private func batch(_ parameters: JSONValue) async throws(ClientFailure) -> JSONValue {
        guard let commands = parameters["commands"]?.arrayValue else { throw .badRequest("commands is missing") }
        var replies: [JSONValue] = []
        for command in commands {
            guard let member = command.objectValue?.first, member.key != "batch" else {
                replies.append(["error": ["code": 107, "message": "bad request: a command names one method"]])
                continue
            }
            let reply = await answer(member.key, member.value)
            // A part's reply stands under its method's name, an error as it is.
            replies.append(reply["result"].map { .object([member.key: $0]) } ?? reply)
        }
        return ["replies": .array(replies)]
    }

    private static func info(_ info: ClientInfo) -> JSONValue {
        var members: JSONObject = ["user": .string(info.user), "client": .string(info.client)]
        members["conn_info"] = info.info
        return .object(members)
    }

    // MARK: Apus's own

    private func token(_ parameters: JSONValue) throws(ClientFailure) -> JSONValue {
        guard let issue = services.issueToken else {
            throw ClientFailure(code: 108, message: "not available: tokens are made only with gateway.token.secret")
        }
        guard let user = parameters["user"].map({ $0.stringValue ?? $0.description }), !user.isEmpty else {
            throw .badRequest("user is missing")
        }
        let roles = parameters["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []
        guard
            let lifetime = parameters["ttl"].map({ DurationText.parse($0.stringValue ?? $0.description) })
                ?? .seconds(86_400)
        else { throw .badRequest("ttl is not a duration such as 30s, 24h or 7d") }
        let expiry = services.clock.time().advanced(by: lifetime)
        return ["token": .string(issue(user, roles, expiry)), "expires_at": .string(expiry.description)]
    }

    private func event(_ parameters: JSONValue) async throws(ClientFailure) -> JSONValue {
        guard let type = parameters["type"]?.stringValue, !type.isEmpty else { throw .badRequest("type is missing") }
        guard let data = parameters["data"] else { throw .badRequest("data is missing") }
        do {
            try await services.appendEvent(type, data)
        } catch {
            throw .unavailable("the event could not be stored; try again")
        }
        return [:]
    }

    private func task(_ parameters: JSONValue) async throws(ClientFailure) -> JSONValue {
        let reply = try await services.backend.call(
            "tasks.submit", parameters.serialized(),
            Caller(user: parameters["user"]?.stringValue, roles: ["admin"]))
        return (try? JSONValue(parsing: reply)) ?? [:]
    }
}
