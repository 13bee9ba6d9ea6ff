internal import GatewaySession
internal import Hummingbird
internal import Identity

extension EdgeServices {
    /// Who an HTTP request comes from.
    /// - Throws: 401 when there is no token and one is needed, or it is not good.
    func identity(of request: Request) throws -> Identity {
        guard let token = request.token else {
            guard allowsAnonymous else { throw HTTPFailure(.unauthorized, "authentication required: send a token") }
            return .anonymous
        }
        do throws(IdentityError) {
            return try verify(token, clock.time())
        } catch {
            throw HTTPFailure(.unauthorized, error.isExpired ? "the token has expired" : "the token is not valid")
        }
    }

    /// Counts a request as a message of its user.
    /// - Throws: 429 when the user has sent as many as one may.
    func admit(_ identity: Identity) throws {
        guard let user = identity.user, let seconds = users.take(user, now: clock.moment()) else { return }
        metrics.limited(.userMessagesPerMinute)
        throw HTTPFailure(.tooManyRequests, "too many requests of this user", retryAfterSeconds: seconds)
    }
}
