internal import HTTPTypes
internal import Hummingbird

/// Which of a browser's pages may use the routes for clients (Fetch standard, "CORS protocol"): those that
/// `gateway.origins` lets in, each told by its own name.
///
/// Never a wildcard, never credentials: a client shows a token that its page gave it, no cookie. The server API is for
/// backends and is left out, so that no page can use it.
struct CrossOrigin: RouterMiddleware {
    typealias Context = BasicRequestContext

    let origins: OriginPolicy

    private static let methods = "GET, POST, OPTIONS"
    private static let requestHeaders =
        "Authorization, Content-Type, Last-Event-ID, X-Phoenix-AuthToken, X-Phoenix-Longpoll-Token"
    private static let exposedHeaders = "Retry-After"
    /// For so many seconds a browser need not ask again.
    private static let maximumAge = "600"

    /// Whether a path is a route for clients over HTTP, however it is spelled: the router takes empty parts for nothing.
    static func covers(_ path: String) -> Bool {
        let parts = path.split(separator: "/").map { PercentEncoding.decode($0, plusIsSpace: false) ?? "" }
        return [["events"], ["poll"], ["socket", "longpoll"]].contains(parts) || parts.first == "rpc"
    }

    func handle(
        _ request: Request, context: BasicRequestContext,
        next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        guard CrossOrigin.covers(request.uri.path) else { return try await next(request, context) }
        let origin = request.headers[.origin]
        guard origins.admits(origin: origin, host: request.head.authority) else {
            var response = try HTTPFailure(.forbidden, "this origin is not let in; see gateway.origins")
                .response(from: request, context: context)
            response.headers[.vary] = "Origin"
            return response
        }
        var response: Response
        if request.method == .options {
            response = Response(
                status: .noContent,
                headers: [
                    .accessControlAllowMethods: CrossOrigin.methods,
                    .accessControlAllowHeaders: CrossOrigin.requestHeaders,
                    .accessControlMaxAge: CrossOrigin.maximumAge,
                ])
        } else {
            response = try await next(request, context)
        }
        response.headers[.vary] = "Origin"
        if let origin {
            response.headers[.accessControlAllowOrigin] = origin
            response.headers[.accessControlExposeHeaders] = CrossOrigin.exposedHeaders
        }
        return response
    }
}
