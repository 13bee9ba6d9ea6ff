internal import EventBus
internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import NIOCore

/// `/socket/longpoll`, the other transport of Phoenix's clients: `lib/phoenix/transports/long_poll.ex`. A GET opens a session
/// or waits for messages, a POST pushes some. The status stands in the body; HTTP's own is always 200.
struct LongPollRoute {
    let sessions: LongPollSessions
    let phoenix: PhoenixRules
    let limits: GatewayLimits
    let node: String
    let nodes: NodeRequests

    /// How many frames a push may hold, and how large it may be as a whole: it must fit into a message between gateways.
    static let maximumFrames = 100
    static let maximumBodyBytes = 524_288

    private static let tokenHeader = HTTPField.Name("X-Phoenix-Longpoll-Token")!
    private static let authorizationHeader = HTTPField.Name("X-Phoenix-AuthToken")!

    func add(to router: Router<BasicRequestContext>) {
        router.get("socket/longpoll") { request, _ in await self.poll(request) }
        router.post("socket/longpoll") { request, _ in await self.push(request) }
    }

    // MARK: Polls

    private func poll(_ request: Request) async -> Response {
        if let token = LongPollRoute.token(of: request) {
            let answer = await carryOut(.poll, of: token)
            // As Phoenix does, a client whose session is gone is told so together with the token of a new one.
            if answer != .gone { return LongPollRoute.response(answer, token: token) }
        }
        return await open(request)
    }

    private func open(_ request: Request) async -> Response {
        guard !sessions.isLeaving else { return LongPollRoute.response(.leaving) }
        let headerToken = request.headers[LongPollRoute.authorizationHeader] ?? request.bearerToken
        guard let opening = PhoenixOpening(query: request.parameters, headerToken: headerToken) else {
            return LongPollRoute.response(.forbidden)
        }
        let (codec, protocolID) = opening.codec(aliasesSupabase: phoenix.aliasesSupabase)
        guard
            let session = await sessions.open(
                codec, protocolID, node: node, authorization: opening.token(isGood: phoenix.isGood),
                trace: request.trace)
        else { return LongPollRoute.response(.forbidden) }
        return LongPollRoute.response(.gone, token: session.token)
    }

    // MARK: Pushes

    private func push(_ request: Request) async -> Response {
        guard let token = LongPollRoute.token(of: request) else { return LongPollRoute.response(.gone) }
        guard let body = try? await request.body.collect(upTo: LongPollRoute.maximumBodyBytes),
            let text = String(validating: body.readableBytesView, as: UTF8.self)
        else { return LongPollRoute.response(.badRequest) }
        let type = request.headers[.contentType]?.lowercased() ?? ""
        // Older clients send one frame of JSON, which may hold line breaks.
        let lines = type.hasPrefix("application/x-ndjson") ? text.split(separator: "\n") : [text[...]]
        let frames = lines.compactMap { LongPollFrame.decode($0) }
        guard frames.count == lines.count, frames.count <= LongPollRoute.maximumFrames else {
            return LongPollRoute.response(.badRequest)
        }
        let isTooBig = frames.contains { $0.count > limits.messageBytes }
        return LongPollRoute.response(
            await carryOut(isTooBig ? .violation(.messageTooBig) : .push(frames), of: token))
    }

    // MARK: Where the session is

    private func carryOut(_ request: LongPollRequest, of token: LongPollToken) async -> LongPollAnswer {
        guard token.node != node else {
            return await withCheckedContinuation { continuation in
                sessions.carryOut(request, of: token.session) { continuation.resume(returning: $0) }
            }
        }
        // A poll is answered by its window's end; whoever has not answered a while later does not live, or not for us.
        let timeout = LongPollSessions.defaultWindow + .seconds(5)
        let answer = try? await nodes.ask(
            token.node, LongPollSessions.kind, request.json(session: token.session), timeout: timeout)
        return answer.flatMap { LongPollAnswer($0) } ?? .gone
    }

    /// The session's token: a header in newer clients; in older ones a parameter, beside which an application's own `token`
    /// may stand.
    private static func token(of request: Request) -> LongPollToken? {
        if let text = request.headers[tokenHeader] { return LongPollToken(text) }
        return request.parameters.lazy.filter { $0.name == "token" }.compactMap { LongPollToken($0.value) }.first
    }

    // MARK: Answers

    private static func response(_ answer: LongPollAnswer, token: LongPollToken? = nil) -> Response {
        var members: JSONObject = ["status": .integer(Int64(answer.status))]
        if let token {
            members["token"] = .string(token.text)
            members["messages"] = answer.json["messages"]
        }
        var response = Response.json(.object(members))
        // As Phoenix says it; for a page of another site ``CrossOrigin`` says which may read it.
        response.headers[.accessControlAllowOrigin] = "*"
        return response
    }
}
