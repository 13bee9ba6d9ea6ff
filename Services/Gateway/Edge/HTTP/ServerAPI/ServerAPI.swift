internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON

/// `POST /api/<method>`: the server HTTP API for backends, with the method names, parameters, replies and error codes of
/// Centrifugo's, so that its clients work, and Apus's own `token`, `event` and `task`.
///
/// Every answer is 200 with `{"result":…}` or `{"error":{"code","message"}}`, but for a wrong key (401) and a body that is
/// no JSON (400). `batch` alone answers `{"replies":[…]}`, a reply for each command under its method's name, as
/// Centrifugo's clients read it. Orders for users (`disconnect`, `unsubscribe`, `subscribe`, `refresh`) are answered when
/// every gateway has carried them out; one that does not answer within 2 s is not waited for.
struct ServerAPI {
    let key: String?
    let services: EdgeServices
    let keys = IdempotencyKeys()
    /// Where the request that is answered stands in a trace.
    private(set) var trace: TraceContext?

    init(key: String?, services: EdgeServices) {
        self.key = key
        self.services = services
    }

    /// How many parts of a broadcast or a parallel batch are under way at once.
    static let maximumConcurrency = 64

    func add(to router: Router<BasicRequestContext>) {
        router.post("api/:method") { request, context async throws -> Response in
            try authorize(request)
            let parameters = try await request.json()
            let method = context.parameters.get("method") ?? ""
            var api = self
            api.trace = request.trace
            return .json(method == "batch" ? await api.batch(parameters) : await api.answer(method, parameters))
        }
    }

    private func authorize(_ request: Request) throws {
        guard let key else {
            throw HTTPFailure(.unauthorized, "the server API is off: set gateway.api.key")
        }
        let given: String?
        if let header = request.headers[HTTPField.Name("X-API-Key")!] {
            given = header
        } else if let authorization = request.headers[.authorization],
            authorization.lowercased().hasPrefix("apikey ")
        {
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

    // MARK: Answering

    func answer(_ method: String, _ parameters: JSONValue) async -> JSONValue {
        do throws(ClientFailure) {
            return ["result": try await result(method, APIParameters(parameters))]
        } catch {
            return ServerAPI.reply(error)
        }
    }

    static func reply(_ failure: ClientFailure) -> JSONValue {
        ["error": ["code": .integer(Int64(failure.code)), "message": .string(failure.message)]]
    }

    private func result(_ method: String, _ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        switch method {
        case "publish": return try await publish(parameters)
        case "broadcast": return try await broadcast(parameters)
        case "subscribe": return try await subscribe(parameters)
        case "unsubscribe": return try await unsubscribe(parameters)
        case "disconnect": return try await disconnect(parameters)
        case "refresh": return try await refresh(parameters)
        case "presence": return try presence(parameters)
        case "presence_stats": return try presenceStatistics(parameters)
        case "history": return try await history(parameters)
        case "history_remove": return try await removeHistory(parameters)
        case "channels": return try await channels(parameters)
        case "info": return await info()
        case "token": return try token(parameters)
        case "event": return try await event(parameters)
        case "task": return try await task(parameters)
        default: throw .methodNotFound
        }
    }

    /// A batch is as good as its parts: each has a reply of its own, in their order.
    private func batch(_ parameters: JSONValue) async -> JSONValue {
        let commands: [JSONValue]
        let isParallel: Bool
        do throws(ClientFailure) {
            let parameters = try APIParameters(parameters)
            commands = try parameters.array("commands")
            isParallel = try parameters.boolean("parallel") ?? false
        } catch {
            return ServerAPI.reply(error)
        }
        let replies = await commands.concurrentMap(limit: isParallel ? ServerAPI.maximumConcurrency : 1) { command in
            guard let members = command.objectValue, members.count == 1, let member = members.first,
                member.key != "batch"
            else {
                return ServerAPI.reply(.badRequest("a command of a batch names one method, and not batch"))
            }
            let reply = await answer(member.key, member.value)
            // A part's reply stands under its method's name, an error as it is.
            return reply["result"].map { .object([member.key: $0]) } ?? reply
        }
        return ["replies": .array(replies)]
    }
}

extension Array where Element: Sendable {
    /// The results of `transform` in the elements' order, at most `limit` at once.
    func concurrentMap<Value: Sendable>(
        limit: Int, _ transform: @escaping @Sendable (Element) async -> Value
    ) async -> [Value] {
        await withTaskGroup(of: (Int, Value).self) { group in
            var results: [Value?] = Array<Value?>(repeating: nil, count: count)
            var next = 0
            while next < Swift.min(limit, count) {
                let (index, element) = (next, self[next])
                group.addTask { (index, await transform(element)) }
                next += 1
            }
            for await (index, value) in group {
                results[index] = value
                guard next < count else { continue }
                let (index, element) = (next, self[next])
                group.addTask { (index, await transform(element)) }
                next += 1
            }
            return results.compactMap { $0 }
        }
    }
}
