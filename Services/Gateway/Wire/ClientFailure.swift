/// An error that answers one command; the connection goes on. The codes are those of the Centrifuge client protocol.
package struct ClientFailure: Error, Sendable, Equatable {
    package let code: UInt32
    package let message: String
    /// Whether the same command may succeed later.
    package let isTemporary: Bool
    /// For a rate limit: in how many seconds at the earliest.
    package let retryAfterSeconds: Int?

    package init(code: UInt32, message: String, isTemporary: Bool = false, retryAfterSeconds: Int? = nil) {
        self.code = code
        self.message = message
        self.isTemporary = isTemporary
        self.retryAfterSeconds = retryAfterSeconds
    }

    package static let `internal` = ClientFailure(code: 100, message: "internal server error", isTemporary: true)
    package static let unauthorized = ClientFailure(code: 101, message: "unauthorized")
    package static let unknownChannel = ClientFailure(code: 102, message: "unknown channel")
    package static let permissionDenied = ClientFailure(code: 103, message: "permission denied")
    package static let methodNotFound = ClientFailure(code: 104, message: "method not found")
    package static let alreadySubscribed = ClientFailure(code: 105, message: "already subscribed")
    package static let limitExceeded = ClientFailure(code: 106, message: "limit exceeded")
    package static let notAvailable = ClientFailure(code: 108, message: "not available")
    package static let tokenExpired = ClientFailure(code: 109, message: "token expired")
    package static let unrecoverablePosition = ClientFailure(code: 112, message: "unrecoverable position")

    package static func badRequest(_ why: String) -> ClientFailure {
        ClientFailure(code: 107, message: "bad request: \(why)")
    }

    /// A channel's name is longer than `gateway.limits.channel_name_bytes`.
    package static func channelNameTooLong(maximum: Int) -> ClientFailure {
        .badRequest("a channel's name has at most \(maximum) bytes")
    }

    /// Over a rate limit.
    package static func tooManyRequests(retryAfterSeconds: Int) -> ClientFailure {
        ClientFailure(
            code: 111, message: "too many requests", isTemporary: true, retryAfterSeconds: retryAfterSeconds)
    }

    /// No service answers, or not in time.
    package static func unavailable(_ what: String) -> ClientFailure {
        ClientFailure(code: 108, message: what, isTemporary: true)
    }
}

/// Why the server ended a subscription. From 2500 on, a client subscribes again by itself.
package struct UnsubscribeReason: Sendable, Equatable {
    package let code: UInt32
    package let reason: String

    package init(code: UInt32, reason: String) {
        self.code = code
        self.reason = reason
    }

    package static let server = UnsubscribeReason(code: 2000, reason: "server unsubscribe")
    /// Continuity can no longer be promised; subscribing again recovers what can be.
    package static let insufficientState = UnsubscribeReason(code: 2500, reason: "insufficient state")
    package static let expired = UnsubscribeReason(code: 2501, reason: "subscription expired")
}

/// Why the server closes a connection. Up to 3499 a client comes back by itself, from 3500 on it does not.
///
/// The numbers are those of the Centrifuge client protocol; a codec translates where its own protocol has others.
package struct Disconnect: Sendable, Hashable {
    package let code: UInt16
    package let reason: String

    package init(code: UInt16, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// Whether a client comes back by itself after it.
    package var invitesBack: Bool { code < 3500 }

    package static let shutdown = Disconnect(code: 3001, reason: "shutdown")
    package static let internalError = Disconnect(code: 3004, reason: "internal server error")
    package static let expired = Disconnect(code: 3005, reason: "connection expired")
    package static let slow = Disconnect(code: 3008, reason: "slow")
    package static let insufficientState = Disconnect(code: 3010, reason: "insufficient state")
    package static let noPong = Disconnect(code: 3012, reason: "no pong")
    package static let tooManyRequests = Disconnect(code: 3013, reason: "too many requests")
    package static let invalidToken = Disconnect(code: 3500, reason: "invalid token")
    package static let badRequest = Disconnect(code: 3501, reason: "bad request")
    /// Did not connect or authenticate in time.
    package static let stale = Disconnect(code: 3502, reason: "stale")
    package static let forced = Disconnect(code: 3503, reason: "force disconnect")
    package static let connectionLimit = Disconnect(code: 3504, reason: "connection limit")
    package static let channelLimit = Disconnect(code: 3505, reason: "channel limit")
    package static let permissionDenied = Disconnect(code: 3507, reason: "permission denied")
    package static let notAvailable = Disconnect(code: 3508, reason: "not available")
    /// Without a subscription and silent for `gateway.limits.idle_timeout`. In the range that applications may use and in
    /// which a client comes back by itself.
    package static let idle = Disconnect(code: 4000, reason: "idle")
    /// A frame larger than `gateway.limits.message_bytes`.
    package static let messageTooBig = Disconnect(code: 1009, reason: "message too big")
    package static let protocolError = Disconnect(code: 1002, reason: "protocol error")
    package static let authenticationRequired = Disconnect(code: 3501, reason: "authentication required")

    /// Every reason of the gateway's own.
    package static let all: Set<Disconnect> = [
        .shutdown, .internalError, .expired, .slow, .insufficientState, .noPong, .tooManyRequests, .invalidToken,
        .badRequest, .stale, .forced, .connectionLimit, .channelLimit, .permissionDenied, .notAvailable, .idle,
        .messageTooBig, .protocolError, .authenticationRequired,
    ]
}
