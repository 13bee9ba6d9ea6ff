internal import Synchronization

/// Several messages at once.
extension CoreRequester {
    /// Sends requests one right behind the other, all of them or none, and calls `completion` once for each, with its index.
    func beginAll(
        _ messages: [NATSMessage], timeout: Duration,
        completion: @escaping @Sendable (Int, Result<CoreMessage, NATSError>) -> Void
    ) {
        func refuse(_ error: NATSError) { for index in messages.indices { completion(index, .failure(error)) } }
        do throws(NATSError) {
            for message in messages {
                try NATSSyntax.checkSubject(message.subject, allowsWildcards: false)
                if !message.headers.isEmpty { try NATSSyntax.checkHeaders(message.headers) }
            }
        } catch {
            return refuse(error)
        }
        let deadline = ContinuousClock.now + timeout
        let refusal = connection.state.withLock { state -> NATSError? in
            // Nothing may be written before it is known that all can be.
            for message in messages {
                if let error = state.machine.refusal(of: message) { return error }
            }
            for (index, message) in messages.enumerated() {
                let token = state.requests.add({ completion(index, $0) }, until: deadline)
                state.machine.commands.publish(message, replyTo: "\(prefix)\(token)")
            }
            return nil
        }
        if let refusal { return refuse(refusal) }
        connection.schedule()
    }

    /// The same, but for one that cannot be sent, which holds up none behind it.
    func beginTogether(
        _ messages: [NATSMessage], timeout: Duration,
        completion: @escaping @Sendable (Int, Result<CoreMessage, NATSError>) -> Void
    ) {
        var refusals: [(index: Int, error: NATSError)] = []
        let deadline = ContinuousClock.now + timeout
        var next = messages.startIndex
        while next < messages.endIndex {
            connection.state.withLock { state in
                // In pieces that are worth writing, so that the server does not wait for the last to begin with the first.
                let enough = state.machine.commands.bytes.count + CoreConnection.bytesToWriteAtOnce
                while next < messages.endIndex, state.machine.commands.bytes.count < enough {
                    let (index, message) = (next, messages[next])
                    next += 1
                    if let error = CoreRequester.refusal(of: message) ?? state.machine.refusal(of: message) {
                        refusals.append((index, error))
                        continue
                    }
                    let token = state.requests.add({ completion(index, $0) }, until: deadline)
                    state.machine.commands.publish(message, replyTo: "\(prefix)\(token)")
                }
            }
            connection.schedule()
        }
        for (index, error) in refusals { completion(index, .failure(error)) }
    }

    private static func refusal(of message: NATSMessage) -> NATSError? {
        do throws(NATSError) {
            try NATSSyntax.checkSubject(message.subject, allowsWildcards: false)
            if !message.headers.isEmpty { try NATSSyntax.checkHeaders(message.headers) }
            return nil
        } catch {
            return error
        }
    }
}
