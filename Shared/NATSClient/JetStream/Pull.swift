/// What came of one request for messages.
struct PullResult: Sendable {
    var messages: [NATSMessage]
    /// Why it ended before it was full; nil when it is full or the server has no more (within the time asked for).
    var error: NATSError?
}

/// One request for messages while its answers come in. A plain value.
struct Pull {
    let maximum: Int
    private(set) var messages: [NATSMessage] = []

    init(maximum: Int) {
        self.maximum = maximum
        messages.reserveCapacity(min(maximum, 1024))
    }

    /// What to do after a message.
    enum Action {
        case goOn
        case end(NATSError?)
    }

    mutating func received(_ message: NATSMessage) -> Action {
        messages.append(message)
        return messages.count >= maximum ? .end(nil) : .goOn
    }

    /// The server says something of the request itself.
    mutating func received(status: Int, description: String) -> Action {
        switch status {
        case 100: .goOn
        // No message is there; the time asked for is over.
        case 404, 408: .end(nil)
        case 503: .end(NATSError(.noResponders, "JetStream does not answer; is it enabled on the server (-js)?"))
        case 409: .end(Pull.error(conflict: description))
        default: .end(NATSError(.failed, "the server refused to deliver messages with status \(status)"))
        }
    }

    /// There is one status for many reasons, told apart only by their text (ADR-13).
    private static func error(conflict description: String) -> NATSError {
        let reason = description.lowercased()
        if reason.hasPrefix("consumer deleted") { return NATSError(.notFound, "the consumer was deleted") }
        if reason.hasPrefix("leadership change") || reason.hasPrefix("server shutdown") {
            return NATSError(.notConnected, "the server that holds the consumer is changing; try again")
        }
        if reason.hasPrefix("exceeded maxwaiting") {
            return NATSError(.timeout, "too many requests wait for this consumer's messages; try again later")
        }
        return NATSError(.failed, "the server refused to deliver messages: \(description)")
    }
}
