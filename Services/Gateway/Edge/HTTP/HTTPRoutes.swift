internal import Events
internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import Logging
internal import NIOCore

/// The gateway's HTTP routes: what is not a WebSocket.
struct HTTPRoutes {
    let configuration: EdgeConfiguration
    let shards: ShardGroup
    let services: EdgeServices
    let longPolls: LongPollSessions
    let logger: Logger

    /// How large the body of a call may be.
    static let maximumBodyBytes = 1_048_576

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: CrossOrigin(origins: configuration.origins))
        router.add(middleware: JSONErrorMiddleware())
        PageRoutes(configuration: configuration.page, services: services, offersUpload: configuration.upload != nil)
            .add(to: router)
        EventStreamRoute(shards: shards, limits: configuration.limits).add(to: router)
        PollRoute(shards: shards, services: services).add(to: router)
        LongPollRoute(
            sessions: longPolls, phoenix: PhoenixRules(services),
            limits: configuration.limits, node: services.node, nodes: services.nodes
        ).add(to: router)
        CallRoute(services: services).add(to: router)
        ServerAPI(key: configuration.serverAPIKey, services: services).add(to: router)
        if let upload = configuration.upload { UploadRoute(configuration: upload, services: services).add(to: router) }
        return router
    }
}

/// Errors of the HTTP routes, told as JSON: `{"error":{"code":404,"message":"…"}}`.
struct HTTPFailure: Error, HTTPResponseError {
    let status: HTTPResponse.Status
    let message: String
    /// When the client may try again.
    let retryAfterSeconds: Int?

    init(_ status: HTTPResponse.Status, _ message: String, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var error: JSONObject = ["code": .integer(Int64(status.code)), "message": .string(message)]
        if let retryAfterSeconds { error["retry_after"] = .integer(Int64(retryAfterSeconds)) }
        var response = Response.json(["error": .object(error)], status: status)
        response.headers[.retryAfter] = retryAfterSeconds.map { "\($0)" }
        return response
    }
}

/// Turns what the framework throws, such as an unknown address, into the same form.
struct JSONErrorMiddleware: RouterMiddleware {
    typealias Context = BasicRequestContext

    func handle(
        _ request: Request, context: BasicRequestContext,
        next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let failure as HTTPFailure {
            return try failure.response(from: request, context: context)
        } catch let error as HTTPError {
            let message = error.body ?? error.status.reasonPhrase.lowercased()
            return try HTTPFailure(error.status, message).response(from: request, context: context)
        }
    }
}

extension Response {
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        .json(bytes: value.serialized(), status: status)
    }

    static func json(bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension Request {
    /// The query's parameters, in order.
    var parameters: [(name: String, value: String)] { PercentEncoding.query(uri.query ?? "") }

    func parameter(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// The token of `?token=` or `Authorization: Bearer`.
    var token: String? {
        if let token = parameter("token"), !token.isEmpty { return token }
        return bearerToken
    }

    /// The token of `Authorization: Bearer`.
    var bearerToken: String? {
        guard let authorization = headers[.authorization], authorization.lowercased().hasPrefix("bearer ") else {
            return nil
        }
        return String(authorization.dropFirst(7))
    }

    /// Where the request stands in a trace, if its headers say so.
    var trace: TraceContext? {
        func header(_ name: String) -> String? { HTTPField.Name(name).flatMap { headers[$0] } }
        return TraceContext(parent: header(HeaderName.traceParent), state: header(HeaderName.traceState))
    }

    /// The body as JSON; an empty one is null.
    func json() async throws -> JSONValue {
        let buffer: ByteBuffer
        do {
            buffer = try await body.collect(upTo: HTTPRoutes.maximumBodyBytes)
        } catch is NIOTooManyBytesError {
            throw HTTPFailure(.contentTooLarge, "the body has more than \(HTTPRoutes.maximumBodyBytes) bytes")
        }
        guard buffer.readableBytes > 0 else { return .null }
        do {
            return try JSONValue(parsing: buffer.readableBytesView)
        } catch {
            throw HTTPFailure(.badRequest, "the body is not JSON: \(error)")
        }
    }
}
