internal import EventBus
internal import Events
internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import Identity
internal import JSON

/// `POST /rpc/<method>`: a call as the token's user, JSON in and out.
struct CallRoute {
    let services: EdgeServices

    func add(to router: Router<BasicRequestContext>) {
        router.post("rpc/:method") { request, context async throws -> Response in
            let identity = try services.identity(of: request)
            try services.admit(identity)
            let parameters = try await request.json()
            let method = context.parameters.get("method") ?? ""
            do throws(ClientFailure) {
                let result = try await services.backend.call(
                    method, parameters.isNull ? Array("{}".utf8) : parameters.serialized(),
                    Caller(user: identity.user, roles: identity.roles), trace: request.trace)
                return .json(bytes: Array(#"{"result":"#.utf8) + result + Array("}".utf8))
            } catch {
                return CallRoute.response(error)
            }
        }
    }

    /// The error in the form of an RPC's reply, with the HTTP status that fits it.
    static func response(_ failure: ClientFailure) -> Response {
        var error: JSONObject = ["code": .integer(Int64(failure.code)), "message": .string(failure.message)]
        if failure.isTemporary { error["temporary"] = true }
        var response = Response.json(["error": .object(error)], status: status(failure))
        response.headers[.retryAfter] = failure.retryAfterSeconds.map { "\($0)" }
        return response
    }

    private static func status(_ failure: ClientFailure) -> HTTPResponse.Status {
        switch failure.code {
        case 400...599: HTTPResponse.Status(code: Int(failure.code))
        case ClientFailure.methodNotFound.code, ClientFailure.unknownChannel.code: .notFound
        case ClientFailure.permissionDenied.code: .forbidden
        case ClientFailure.unauthorized.code, ClientFailure.tokenExpired.code: .unauthorized
        case ClientFailure.limitExceeded.code: .contentTooLarge
        case ClientFailure.notAvailable.code: .serviceUnavailable
        case 107: .badRequest
        case 111: .tooManyRequests
        default: .internalServerError
        }
    }
}
