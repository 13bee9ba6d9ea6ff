internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import Synchronization

/// Where a request waits until its session has everything it needs, or is refused.
final class OpeningGate: Sendable {
    private enum State {
        case pending(CheckedContinuation<Disconnect?, Never>?)
        case started
        case refused(Disconnect)
    }

    private let state = Mutex(State.pending(nil))

    /// The session is ready.
    func start() { decide(.started, nil) }

    /// The session came to an end; a refusal if it was not ready yet.
    func end(_ disconnect: Disconnect) { decide(.refused(disconnect), disconnect) }

    private func decide(_ decision: State, _ answer: Disconnect?) {
        let waiter = state.withLock { state -> CheckedContinuation<Disconnect?, Never>? in
            guard case .pending(let waiter) = state else { return nil }
            state = decision
            return waiter
        }
        waiter?.resume(returning: answer)
    }

    /// Waits for the decision.
    /// - Returns: why it is refused, or nil.
    func refusal() async -> Disconnect? {
        await withCheckedContinuation { continuation in
            let answer: Disconnect?? = state.withLock { state in
                switch state {
                case .pending:
                    state = .pending(continuation)
                    return nil
                case .started: return .some(nil)
                case .refused(let disconnect): return .some(disconnect)
                }
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }
}

/// Frees a session when nobody holds this any more: a response that is thrown away unsent, because its client has gone,
/// runs no code of its own.
final class SessionLease: Sendable {
    private let release: @Sendable () -> Void

    init(_ release: @escaping @Sendable () -> Void) { self.release = release }

    deinit { release() }
}

extension Request {
    /// Runs `operation` with the whole body, and calls `onClosed` if the client goes meanwhile. The connection cannot serve
    /// another request afterwards.
    ///
    /// The body is read to its end whatever becomes of it, before anything else: the framework's own sequence traps when it
    /// is given up before that, and when the body was taken from the request earlier.
    func watchingClient<Value: Sendable>(
        _ operation: (ByteBuffer) async throws -> Value, onClosed: @escaping @Sendable () -> Void
    ) async throws -> Value {
        try await body.consumeWithInboundCloseHandler { parts in
            var bytes = ByteBuffer()
            var isTooLarge = false
            for try await var part in parts where !isTooLarge {
                isTooLarge = bytes.readableBytes + part.readableBytes > HTTPRoutes.maximumBodyBytes
                if !isTooLarge { bytes.writeBuffer(&part) }
            }
            if isTooLarge {
                throw HTTPFailure(.contentTooLarge, "the body has more than \(HTTPRoutes.maximumBodyBytes) bytes")
            }
            return try await operation(bytes)
        } onInboundClosed: {
            onClosed()
        }
    }
}

extension HTTPFailure {
    /// Why a session of an HTTP request was refused.
    init(refusing disconnect: Disconnect) {
        switch disconnect {
        case .authenticationRequired: self.init(.unauthorized, "authentication required: send a token")
        case .invalidToken: self.init(.unauthorized, "the token is not valid")
        case .expired: self.init(.unauthorized, "the token has expired")
        case .permissionDenied, .forced: self.init(.forbidden, "you may not subscribe to one of these channels")
        case .badRequest:
            self.init(.badRequest, "a channel's name is not one, is too long, is unknown, or stands twice")
        case .channelLimit: self.init(.badRequest, "too many channels; see gateway.limits.channels_per_connection")
        case .connectionLimit, .tooManyRequests:
            self.init(.tooManyRequests, "too many connections of this user", retryAfterSeconds: 5)
        case .shutdown:
            self.init(.serviceUnavailable, "the gateway is leaving; try again", retryAfterSeconds: 1)
        default:
            self.init(
                .serviceUnavailable, "the channels cannot be subscribed now; try again", retryAfterSeconds: 1)
        }
    }
}
