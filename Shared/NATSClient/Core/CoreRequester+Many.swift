internal import Synchronization

/// Several messages at once.
extension CoreRequester {
    /// Sends requests one right behind the other, all of them or none, and calls `completion` once for each, with its index.
    func beginAll(
        _ messages: [NATSMessage], timeout: Duration,
        completion: @escaping @Sendable (Int, Result<CoreMessage, NATSError>) -> Void
    ) {
        func refuse(_ error: NATSError) { for index in messages.indices { completion(index, .failure(error)) } }
        if let error = messages.lazy.compactMap(CoreRequester.refusal).first { return refuse(error) }
        let deadline = ContinuousClock.now + timeout
        let refusal = connection.state.withLock { state -> NATSError? in
            // Nothing may be written before it is known that all can be.
            for message in messages {
                if let error = state.machine.refusal(of: message) { return error }
            }
            for (index, message) in messages.enumerated() {
                let token = state.requests.add(CoreConnection.Waiter { completion(index, $0) }, until: deadline)
                state.machine.commands.publish(message, replyTo: "\(prefix)\(token)")
            }
            return nil
        }
        if let refusal { return refuse(refusal) }
        connection.schedule()
    }

    /// The same for requests whose answers need not be told apart: all come on one subject, which is less for the server to do
    /// than a subject for each. Each is written as soon as it is made, so that many take no more memory than one; what can be sent
    /// is sent, whatever is wrong with others.
    /// - Parameter completion: called with each answer, until ``forget(_:)``; or once with an error, and with no more answers then.
    /// - Returns: what to forget when no more answers are wanted, and how many are to come.
    func beginAtOnce(
        _ write: (_ add: @escaping (NATSMessage) -> Void) -> Void, timeout: Duration,
        completion: @escaping CoreConnection.AnswerReceiver
    ) -> (token: UInt64, count: Int) {
        let deadline = ContinuousClock.now + timeout
        let waiter = CoreConnection.Waiter(receive: completion, isLasting: true)
        let token = connection.state.withLock { $0.requests.add(waiter, until: deadline) }
        let replyTo = "\(prefix)\(token)"
        var refusal: NATSError?
        var count = 0
        write { [connection] message in
            count += 1
            if let error = CoreRequester.refusal(of: message) {
                refusal = refusal ?? error
                return
            }
            let isEnough = connection.state.withLock { state in
                if let error = state.machine.refusal(of: message) {
                    refusal = refusal ?? error
                    return false
                }
                state.machine.commands.publish(message, replyTo: replyTo)
                return state.machine.commands.bytes.count >= CoreConnection.bytesToWriteAtOnce
            }
            if isEnough { connection.schedule() }
        }
        connection.schedule()
        if let refusal { fail(token, refusal) }
        return (token, count)
    }

    private static func refusal(of message: NATSMessage) -> NATSError? {
        do throws(NATSError) {
            try NATSSyntax.check(message)
            return nil
        } catch {
            return error
        }
    }
}
