internal import Synchronization

/// A subscription on which a consumer's messages arrive, for one request at a time.
///
/// Delivered messages carry their own subject, so what they answer is known only by the subscription; only the server's
/// remarks on a request carry the request's subject.
final class PullInbox: Sendable {
    let carrier: RequestCarrier
    /// Ends with a dot; the request's token follows.
    private let prefix: String
    private let state = Mutex(State())

    private struct State {
        var endSubscription: (@Sendable () -> Void)?
        var current: (token: UInt64, pull: Pull, continuation: CheckedContinuation<PullResult, Never>)?
    }

    init(connection: NATSConnection, carrier: RequestCarrier, token: UInt64) throws(NATSError) {
        self.carrier = carrier
        prefix = "\(carrier.inbox).p.\(token)."
        let endSubscription = try carrier.subscribe("\(prefix)*") { [weak self, weak connection] message in
            guard let self, !received(message) else { return }
            // Came too late for who asked; somebody else may have it at once.
            guard let replyTo = message.replyTo, DeliveryMetadata(replyTo: replyTo) != nil else { return }
            try? connection?.carrier.send(NATSMessage(subject: replyTo, payload: Array("-NAK".utf8)), replyTo: nil)
        }
        state.withLock { $0.endSubscription = endSubscription }
    }

    deinit { close() }

    func replySubject(_ token: UInt64) -> String { "\(prefix)\(token)" }

    /// Ends the subscription: the server then forgets a request that is still open instead of answering it.
    func close() { state.withLock { $0.endSubscription.take() }?() }

    func begin(_ token: UInt64, maximum: Int, _ continuation: CheckedContinuation<PullResult, Never>) {
        state.withLock { $0.current = (token, Pull(maximum: maximum), continuation) }
    }

    /// Ends the request from outside: time is up, the connection is lost, the task was cancelled.
    func end(_ token: UInt64, _ error: NATSError) {
        let ended = state.withLock { state in
            state.current?.token == token ? state.current.take() : nil
        }
        ended?.continuation.resume(returning: PullResult(messages: ended?.pull.messages ?? [], error: error))
    }

    /// - Returns: false for a message that nobody waits for.
    private func received(_ message: NATSMessage) -> Bool {
        let isRemark = message.subject.hasPrefix(prefix)
        let (isTaken, ended, error) = state.withLock {
            state -> (Bool, (UInt64, Pull, CheckedContinuation<PullResult, Never>)?, NATSError?) in
            guard let token = state.current?.token else { return (isRemark, nil, nil) }
            // In its place: what has come so far would be copied for each message otherwise.
            let action: Pull.Action?
            if isRemark {
                guard message.subject.dropFirst(prefix.count) == "\(token)", let status = message.status else {
                    return (true, nil, nil)
                }
                action = state.current?.pull.received(
                    status: status, description: message.headers["Description"] ?? "")
            } else {
                action = state.current?.pull.received(message)
            }
            guard case .end(let error)? = action else { return (true, nil, nil) }
            return (true, state.current.take(), error)
        }
        if let (token, pull, continuation) = ended {
            carrier.forget(token)
            continuation.resume(returning: PullResult(messages: pull.messages, error: error))
        }
        return isTaken
    }
}
