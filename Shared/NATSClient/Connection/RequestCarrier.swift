/// By which of a connection's two ways a request goes: libnats, or the connection of its own that requests may have.
enum RequestCarrier: Sendable {
    case libnats(ConnectionCore)
    case own(CoreRequester)

    /// The beginning of the subjects on which answers may be expected.
    var inbox: String {
        switch self {
        case .libnats(let core): core.inbox
        case .own(let requester): requester.inbox
        }
    }

    /// Whether both are the same.
    func isSame(as other: RequestCarrier) -> Bool {
        switch (self, other) {
        case (.libnats(let one), .libnats(let another)): one === another
        case (.own(let one), .own(let another)): one === another
        default: false
        }
    }

    /// Makes room for one answer.
    func reserve() throws(NATSError) -> UInt64 {
        switch self {
        case .libnats(let core): try core.reserveRequest()
        case .own(let requester): requester.reserve()
        }
    }

    /// Calls `completion` once: with what ``fail(_:_:)`` says, or with the error that ends the waiting.
    func wait(
        _ token: UInt64, until deadline: ContinuousClock.Instant, _ completion: @escaping ConnectionState.Completion
    ) {
        switch self {
        case .libnats(let core): core.wait(token, until: deadline, completion)
        case .own(let requester): requester.wait(token, until: deadline, completion)
        }
    }

    func send(_ message: NATSMessage, replyTo: String?) throws(NATSError) {
        switch self {
        case .libnats(let core): try core.send(message, replyTo: replyTo)
        case .own(let requester): try requester.send(message, replyTo: replyTo)
        }
    }

    func fail(_ token: UInt64, _ error: NATSError) {
        switch self {
        case .libnats(let core): core.complete(token, .failure(error))
        case .own(let requester): requester.fail(token, error)
        }
    }

    func cancel(_ token: UInt64) {
        switch self {
        case .libnats(let core): core.cancel(token)
        case .own(let requester): requester.cancel(token)
        }
    }

    /// Ends a request whose answer came another way.
    func forget(_ token: UInt64) {
        switch self {
        case .libnats(let core): core.forget(token)
        case .own(let requester): requester.forget(token)
        }
    }

    /// - Returns: what ends the subscription.
    func subscribe(
        _ subject: String, deliver: @escaping @Sendable (NATSMessage) -> Void
    ) throws(NATSError) -> @Sendable () -> Void {
        switch self {
        case .libnats(let core):
            let subscription = try core.subscribe(subject, queue: nil, deliver: deliver)
            return { subscription.cancel() }
        case .own(let requester): return try requester.subscribe(subject, deliver: deliver)
        }
    }
}
