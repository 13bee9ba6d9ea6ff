internal import JSON
internal import Synchronization

/// A consumer from which messages are fetched. Safe to use from many tasks at once.
public final class PullConsumer: Sendable {
    public let stream: String
    public let name: String
    let jetStream: JetStream
    /// Free to use again.
    private let idleInboxes = Mutex<[PullInbox]>([])

    /// How much later than the server a wait is given up here, when the server says nothing.
    private static let grace = Duration.seconds(2)
    /// How long a server looks for messages that it has said are there.
    private static let shortWait = Duration.milliseconds(100)

    init(jetStream: JetStream, stream: String, name: String) {
        self.jetStream = jetStream
        self.stream = stream
        self.name = name
    }

    /// Up to `maximum` messages; waits up to `wait` for the first. Empty if none came.
    ///
    /// Each is to be answered through ``acknowledge(_:)`` and its relatives. When the calling task is cancelled, this
    /// returns soon, with what it has.
    /// - Throws: `notFound` if there is no such consumer, `timeout` if the server says nothing, `notConnected`,
    ///   `cancelled` if there is nothing to return.
    public func fetch(_ maximum: Int, wait: Duration) async throws(NATSError) -> [NATSMessage] {
        guard maximum > 0 else { return [] }
        // The two together mean: wait for the first, then take what there is. Without `no_wait` the server would go on
        // delivering after this has returned; without `expires` it may not answer at all.
        let wait = max(wait, .milliseconds(1))
        let request: JSONObject = [
            "batch": .integer(Int64(maximum)), "no_wait": true, "expires": .integer(wait.wholeNanoseconds),
        ]
        return try await pull(maximum, request, for: wait)
    }

    /// Up to `maximum` of the messages that are there now; for readers, which are never given a message twice.
    func fetchAvailable(_ maximum: Int) async throws(NATSError) -> [NATSMessage] {
        // Where the only message that is left was removed meanwhile, a server says nothing at all unless there is an
        // end to the request.
        let request: JSONObject = [
            "batch": .integer(Int64(maximum)), "no_wait": true,
            "expires": .integer(PullConsumer.shortWait.wholeNanoseconds),
        ]
        return try await pull(maximum, request, for: jetStream.timeout)
    }

    private func pull(
        _ maximum: Int, _ request: JSONObject, for wait: Duration
    ) async throws(NATSError) -> [NATSMessage] {
        let connection = jetStream.connection
        let carrier = connection.carrier
        let token = try carrier.reserve()
        let inbox: PullInbox
        do throws(NATSError) {
            if let idle = idleInbox(carrier) {
                inbox = idle
            } else {
                inbox = try PullInbox(connection: connection, carrier: carrier, token: token)
            }
        } catch {
            carrier.forget(token)
            throw error
        }
        let message = NATSMessage(
            subject: "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(name)", payload: JSONValue.object(request).serialized())
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                inbox.begin(token, maximum: maximum, continuation)
                carrier.wait(token, until: .now + wait + PullConsumer.grace) { result in
                    if case .failure(let error) = result { inbox.end(token, error) }
                }
                do throws(NATSError) {
                    try carrier.send(message, replyTo: inbox.replySubject(token))
                } catch {
                    carrier.fail(token, error)
                }
            }
        } onCancel: {
            carrier.cancel(token)
        }
        if let error = result.error {
            // The request may still be open on the server.
            inbox.close()
            guard result.messages.isEmpty else { return result.messages }
            throw await explained(error)
        }
        idleInboxes.withLock { $0.append(inbox) }
        return result.messages
    }

    /// One on which the carrier's messages arrive. What belonged to another is let go: the way has changed.
    private func idleInbox(_ carrier: RequestCarrier) -> PullInbox? {
        idleInboxes.withLock { inboxes in
            while let inbox = inboxes.popLast() {
                if inbox.carrier.isSame(as: carrier) { return inbox }
            }
            return nil
        }
    }

    /// Of a consumer that does not exist, old servers say nothing, and new ones that nobody answers.
    private func explained(_ error: NATSError) async -> NATSError {
        guard error.code == .timeout || error.code == .noResponders else { return error }
        do throws(NATSError) {
            var jetStream = jetStream
            jetStream.timeout = .seconds(1)
            _ = try await jetStream.call("CONSUMER.INFO.\(stream).\(name)")
            return error
        } catch  where error.code == .notFound {
            return NATSError(.notFound, "there is no consumer \(name) on stream \(stream)")
        } catch {
            return error
        }
    }

    /// Deletes the consumer, without waiting for an answer.
    func remove() {
        try? jetStream.connection.publish(NATSMessage(subject: "$JS.API.CONSUMER.DELETE.\(stream).\(name)"))
    }

    // MARK: Answers

    /// Says that the message is done, and returns when the server knows.
    public func acknowledge(_ message: NATSMessage) async throws(NATSError) { try await answer(message, "+ACK") }

    /// Says that the message is done, without waiting for the server to know: if it is never told, the message comes again.
    public func acknowledgeUnconfirmed(_ message: NATSMessage) throws(NATSError) {
        let carrier = jetStream.connection.carrier
        try carrier.send(try PullConsumer.answer(to: message, "+ACK"), replyTo: nil)
    }

    /// Asks for the message to be delivered again after `delay`.
    public func retry(_ message: NATSMessage, after delay: Duration) async throws(NATSError) {
        try await answer(message, delay > .zero ? #"-NAK {"delay":\#(delay.wholeNanoseconds)}"# : "-NAK")
    }

    /// Starts the acknowledgement wait anew, and returns when the server knows.
    public func extend(_ message: NATSMessage) async throws(NATSError) { try await answer(message, "+WPI") }

    /// Says that the message is never to be delivered again.
    public func terminate(_ message: NATSMessage) async throws(NATSError) { try await answer(message, "+TERM") }

    private static func answer(to message: NATSMessage, _ text: String) throws(NATSError) -> NATSMessage {
        guard let replyTo = message.replyTo, replyTo.hasPrefix("$JS.ACK.") else {
            throw NATSError(.invalidArgument, "only a message that a consumer delivered can be answered")
        }
        return NATSMessage(subject: replyTo, payload: Array(text.utf8))
    }

    private func answer(_ message: NATSMessage, _ text: String) async throws(NATSError) {
        let answer = try PullConsumer.answer(to: message, text)
        do throws(NATSError) {
            _ = try await jetStream.connection.request(answer, timeout: jetStream.timeout)
        } catch  where error.code == .noResponders {
            throw NATSError(.notFound, "the consumer that delivered the message is gone")
        }
    }
}
